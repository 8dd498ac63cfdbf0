"""Prints the path of the plugin library.

For programs that may not be changed: TensorFlow loads the libraries named in
TF_PLUGGABLE_DEVICE_LIBRARY_PATH when it is imported.

Examples:
  GRAPPLER_GO=1 TF_PLUGGABLE_DEVICE_LIBRARY_PATH=$(grappler-go library) python train.py
"""

from grappler_go import native
from grappler_go.cli import common

USAGE = ""
FLAGS = common.new_flags()
common.define_json(FLAGS)


def run(args: list[str]) -> int:
    """Prints it; 1 when it is not built."""
    if args:
        raise common.UsageError("library takes no arguments")
    path = native.library_path()
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; it is built by `pip install .`")
    if FLAGS.json:
        common.print_json({"library": str(path)})
    else:
        print(path)
    return 0
