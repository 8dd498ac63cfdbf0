"""Stands in for matplotlib in processes that tests start (see conftest.py)."""

raise ImportError("tests start processes without matplotlib")
