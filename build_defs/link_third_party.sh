#!/bin/bash
# link_third_party.sh PYTHON : gives Bazel fixed names for what lies elsewhere on
# each machine (see WORKSPACE). third_party/ is not under version control.
set -euo pipefail
facts=$("$1" build_defs/facts.py)
fact() { sed -n "s/^$1=//p" <<<"$facts"; }
mkdir -p third_party
ln -sfn "$(fact tensorflow)" third_party/tensorflow
ln -sfn "$(fact nlohmann)" third_party/nlohmann
