#!/bin/bash
# need_package.sh FILE PACKAGE... : makes sure that FILE exists, by installing the
# Debian packages as root, or by saying which ones to install.
set -euo pipefail
file=$1
shift
[ -e "$file" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "set-up: apt-get install $*"
  apt-get install -y --no-install-recommends "$@" >/dev/null 2>&1 || {
    apt-get update >/dev/null
    apt-get install -y --no-install-recommends "$@" >/dev/null
  }
fi
[ -e "$file" ] || {
  echo "$file is missing; on Debian or Ubuntu: sudo apt-get install $*" >&2
  exit 1
}
