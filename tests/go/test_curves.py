"""Curves, as TensorBoard would read them."""

import tensorflow as tf
from grappler_go_training.go.curves import Curves


def test_points_are_scalars_of_their_steps(tmp_path):
    curves = Curves(tmp_path)
    curves.write(3, {"charts/reward": -1.5, "losses/entropy": 2.0})
    curves.write(4, {"charts/reward": -1.25})
    curves.close()
    (file,) = tmp_path.iterdir()
    found = [
        (event.step, value.tag, tf.make_ndarray(value.tensor).item())
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
        if value.metadata.plugin_data.plugin_name == "scalars" or not value.HasField("metadata")
    ]
    assert found == [
        (3, "charts/reward", -1.5),
        (3, "losses/entropy", 2.0),
        (4, "charts/reward", -1.25),
    ]
