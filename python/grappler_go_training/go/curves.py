"""Training curves as event files, which TensorBoard reads and which do not need it."""

import os
from collections.abc import Mapping

import tensorflow as tf

# What makes TensorBoard draw a curve (tensorboard/plugins/scalar/summary_v2.py).
_PLUGIN = "scalars"


class Curves:
    """Writes numbers by step into a folder.

    Args:
      folder: made if missing; `tensorboard --logdir` shows it.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._writer = tf.summary.create_file_writer(os.fspath(folder))
        self._metadata = tf.compat.v1.SummaryMetadata(
            plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name=_PLUGIN)
        )
        # tensorflow.DataClass.DATA_CLASS_SCALAR, which has no public name.
        self._metadata.data_class = 1

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One point of each curve, by name; "/" puts them into groups."""
        with self._writer.as_default():
            for name, value in values.items():
                number = tf.constant(value, tf.float32)
                tf.summary.write(name, number, step=step, metadata=self._metadata)

    def close(self) -> None:
        """Whatever was written is in the file afterwards."""
        self._writer.close()
