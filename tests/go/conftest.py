"""Makes tf.keras Keras 2, before a test imports tensorflow."""

import grappler_go_training.go  # noqa: F401
