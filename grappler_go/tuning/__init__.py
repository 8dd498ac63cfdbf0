"""grappler_go.tune: plans of a function, run for real; the winner is kept.

api         tune() and what it returns
target      what may be tuned, and what must not be run again and again
state       the program's variables, put back afterwards
candidates  the plans
race        who is the fastest: interleaved rounds, the slow leave early
judge       is it faster than TensorFlow's default, or was that noise?
"""
