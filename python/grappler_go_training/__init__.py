"""Makes policies for grappler_go: measurement, fitting, training, export.

Depends on `grappler_go`; never the other way round.
"""
