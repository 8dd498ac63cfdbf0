#!/bin/bash
# Prints a Python that can make the development environment: one that TensorFlow
# has wheels for, with venv and the C headers. As root on Debian it installs what
# is missing; otherwise it says what to install.
set -euo pipefail

usable() {
  "$1" - <<'PY' 2>/dev/null
import ensurepip, os, sys, sysconfig, venv
header = os.path.join(sysconfig.get_paths()["include"], "Python.h")
sys.exit(0 if (3, 10) <= sys.version_info[:2] <= (3, 12) and os.path.exists(header) else 1)
PY
}

find_one() {
  local candidate
  for candidate in ${PYTHON:-} python3.11 python3.12 python3.10 python3; do
    if command -v "$candidate" >/dev/null && usable "$candidate"; then
      command -v "$candidate"
      return 0
    fi
  done
  return 1
}

find_one && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  { apt-get update && apt-get install -y python3-venv python3-dev; } >&2
  find_one && exit 0
fi
echo "no Python 3.10-3.12 with venv and headers: install python3-venv and python3-dev" >&2
exit 1
