"""What this machine takes: op costs under TensorFlow and XLA, launches, memory.

`measure` times op types (`op_cases`) over a range of sizes, run by TensorFlow's
executor and compiled by XLA; `fit` turns the timings into one small non-negative
linear model per op type; `launch` measures what a compiled group costs beside its
ops, `memory` what memory costs beside the chains that are timed.
"""
