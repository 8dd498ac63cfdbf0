#!/bin/bash
# compat_venv.sh FOLDER PYTHON VERSION : an environment with another TensorFlow,
# of the same Python as the one the extension was built for.
set -euo pipefail
folder=$1 python=$2 version=$3
"$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --upgrade 'pip>=24'
"$folder/bin/python" -m pip install --quiet "tensorflow==$version" absl-py rich setuptools
