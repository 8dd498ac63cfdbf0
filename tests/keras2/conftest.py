"""Tests of what needs Keras 2 (TF-GNN does). They run in processes of their own, which
tests/test_go.py starts; other tests use Keras 3, and a process can have but one of them."""

import os

if os.environ.get("TF_USE_LEGACY_KERAS") != "1":
    collect_ignore_glob = ["test_*.py"]
