"""TrainConfig: what a file or a flag may say, and what is said of a misspelt one."""

import dataclasses
import json
import re

import pytest
from grappler_go_training.go import train_config
from grappler_go_training.go.train_config import TrainConfig


def test_every_field_is_documented():
    for owner in (TrainConfig, train_config.NetworkConfig):
        told = owner.__doc__.partition("Attributes:")[2]
        for field in dataclasses.fields(owner):
            assert re.search(rf"^ +[\w, ]*\b{field.name}\b[\w, ]*:", told, re.M), field.name


def test_a_file_says_what_to_dict_says(tmp_path):
    config = train_config.from_dict({"steps": 7, "network.width": 32, "machines": ["cpu"]})
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config.to_dict()))
    assert train_config.read(file) == config
    assert config.network.width == 32
    assert config.machines == ("cpu",)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rat": 1.0}, "no field 'learning_rat'; the nearest is 'learning_rate'"),
        ({"network.widht": 8}, "no field 'network.widht'; the nearest is 'network.width'"),
        ({"network": {"head": 2}}, "the nearest is 'network.heads'"),
        ({"steps": "many"}, "steps='many': expected int"),
        ({"steps": True}, "steps=True: expected int"),
        ({"target_kl": "x"}, "expected float or null"),
        ({"workloads": "gcn-train"}, "expected a list of names"),
        ({"samples": 0}, "samples=0: expected at least 1"),
        ({"clip_coef": 0.0}, "clip_coef=0.0: expected more than 0"),
        ({"min_ops": 10, "max_ops": 5}, "max_ops=5 is below min_ops=10"),
    ],
)
def test_what_is_refused(values, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        train_config.from_dict(values)


def test_a_file_with_a_misspelt_field_is_named(tmp_path):
    file = tmp_path / "go.json"
    file.write_text('{"stepz": 3}')
    with pytest.raises(ValueError, match=r"go\.json: no field 'stepz'; the nearest is 'steps'"):
        train_config.read(file)


def test_assignments_are_read_by_the_type_of_their_field():
    told = ["steps=5", "learning_rate=3e-5", "machines=cpu,gpus", "anneal_lr=true"]
    config = train_config.from_dict(
        train_config.parse_assignments([*told, "target_kl=null", "network.recurrence=False"])
    )
    assert (config.steps, config.learning_rate) == (5, 3e-5)
    assert config.machines == ("cpu", "gpus")
    assert config.anneal_lr
    assert config.target_kl is None
    assert not config.network.recurrence


def test_an_assignment_needs_an_equals_sign():
    with pytest.raises(ValueError, match="expected FIELD=VALUE"):
        train_config.parse_assignments(["steps"])
