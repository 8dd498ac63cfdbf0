"""The op scorer: a policy that knows what an op costs alone and in a cluster.

`measure` times op types over a range of sizes, run by TensorFlow's executor and
compiled by XLA; `fit` turns the timings into one small non-negative linear model
per op type; `export` writes that model as a policy SavedModel.

Run `python -m grappler_go_training.scorer --help`.
"""
