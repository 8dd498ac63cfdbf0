"""The op scorer: a policy that knows what an op costs alone and in a cluster.

`export` writes what `grappler_go_training.calibrate` timed and fitted as a policy
SavedModel.

Run `python -m grappler_go_training.scorer --help`.
"""
