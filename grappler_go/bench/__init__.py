"""Measures programs: TensorFlow's default, jit, auto-clustering and ours, side by side.

models    the built-in programs, by name
process   worker processes that answer requests
worker    one process that builds a program in one mode and times its steps
harness   starts the workers, interleaves them in rounds, sums up
overhead  what the pass itself costs; simulator_speed: what a simulation does
"""
