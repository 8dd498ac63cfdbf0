"""The native module, loaded when first needed and after TensorFlow.

`_core` and the plugin library link to TensorFlow's own libraries without a path
to them: they are found because TensorFlow is in the process already.
"""

import functools
import os
import pathlib
from types import ModuleType

MINIMUM_TENSORFLOW = (2, 16)
# What "default" stands for; as cc/policy/load_policy.cc has it.
DEFAULT_POLICY = "go-1.0"


def package_folder() -> pathlib.Path:
    """The folder that holds the libraries and the shipped policy."""
    return pathlib.Path(__file__).resolve().parent


def library_path() -> pathlib.Path:
    """The plugin that TensorFlow loads."""
    return package_folder() / "libgrappler_go.so"


def default_policy_path() -> pathlib.Path:
    """The policy that "default" stands for."""
    return package_folder() / "policies" / DEFAULT_POLICY


def policy_folder(policy: str | os.PathLike[str]) -> pathlib.Path:
    """The folder of a policy that is named: what is there, else one that ships."""
    if policy == "default":
        return default_policy_path()
    path = pathlib.Path(policy)
    shipped = package_folder() / "policies" / path
    return path if path.exists() or not shipped.is_dir() else shipped


@functools.cache
def tensorflow() -> ModuleType:
    """TensorFlow, checked to be one that this package works with.

    Raises:
      RuntimeError: TensorFlow is missing or too old; the message says which
        version is needed.
    """
    try:
        import tensorflow as tf
    except ImportError as error:
        raise RuntimeError(
            f"grappler-go needs TensorFlow 2.16 or newer, and `import tensorflow` failed: {error}"
        ) from error
    version = tuple(int(part) for part in tf.__version__.split(".")[:2])
    if version < MINIMUM_TENSORFLOW:
        raise RuntimeError(f"grappler-go needs TensorFlow 2.16 or newer; this is {tf.__version__}")
    return tf


@functools.cache
def core() -> ModuleType:
    """The native module, whose names and types are in `_core.pyi`.

    Raises:
      RuntimeError: it is not built, or TensorFlow is not usable.
    """
    tensorflow()
    try:
        from grappler_go import _core
    except ImportError as error:
        raise RuntimeError(
            f"grappler-go's native library could not be loaded ({error}); "
            "it is built by `pip install .`"
        ) from error
    return _core


def killed_by_environment() -> bool:
    """GRAPPLER_GO=0: nothing may switch the pass on. Does not load anything."""
    return os.environ.get("GRAPPLER_GO", "").strip() == "0"


def check_environment() -> None:
    """Refuses a switch that says neither on nor off, as the library does by itself.

    Raises:
      ValueError: GRAPPLER_GO is neither 0 nor 1.
    """
    value = os.environ.get("GRAPPLER_GO", "")
    if value.strip() not in ("", "0", "1"):
        raise ValueError(f"not enabled: GRAPPLER_GO={value!r} should be 0 or 1")
