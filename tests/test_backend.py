"""The build backend: what an installation says."""

import helpers

_SOURCE = """
import sys, warnings
sys.path.insert(0, sys.argv[1])
with warnings.catch_warnings(record=True) as caught:  # as pip looks for them
    import backend
    from setuptools.warnings import InformationOnly
    InformationOnly.emit("Editable installation.", "Please be careful with folders")
    InformationOnly.emit("Something else.", "that is to be read")
print([str(warning.message).splitlines()[0] for warning in caught])
"""


def test_only_the_box_about_editable_installations_is_left_out():
    done = helpers.run_python(_SOURCE, str(helpers.ROOT / "build_defs"))
    assert done.stdout.strip() == "['Something else.']"
