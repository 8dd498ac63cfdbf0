"""Fixtures for all tests."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest


@pytest.fixture
def pass_off():
    """The test starts with the pass registered and off, and leaves it off."""
    import grappler_go
    from grappler_go import control

    grappler_go.disable()
    with control.restored():
        grappler_go.clear_reports()
        yield
    grappler_go.disable()
