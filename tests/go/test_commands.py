"""train, finetune, evaluate, export: from recorded graphs to a policy, and clear errors."""

import json

import go_graphs
import pytest

import grappler_go
from grappler_go import native
from grappler_go.cli.main import command_module, main

_SETTINGS = {
    "machines": "p100x2",
    "machines_per_graph": "1",
    "baselines": "human_expert,simulated_annealing",
    "baseline_plans": "5",
    "imitation_steps": "1",
    "steps": "1",
    "update_epochs": "1",
    "samples": "3",
    **{f"network.{name}": str(value) for name, value in go_graphs.NETWORK.items()},
}


@pytest.fixture(autouse=True, scope="module")
def _untraced():
    with go_graphs.traced_nothing():
        yield


@pytest.fixture(autouse=True)
def _flags_as_before():
    """Commands keep parsed flags in their module; each test starts afresh."""
    yield
    forget_flags()


def forget_flags():
    for name in ("train", "finetune", "evaluate", "export"):
        flags = command_module(name).FLAGS
        flags.unparse_flags()
        for flag in flags:
            flags[flag].unparse()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("graphs")
    go_graphs.graph().save(folder / "good.pb")
    (folder / "bad.pb").write_bytes(b"\xff" * 9)
    return folder


def settings(**changed):
    return [f"--set={name}={value}" for name, value in (_SETTINGS | changed).items()]


@pytest.fixture(scope="module")
def run(recorded, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "mine"
    assert main(["train", str(folder), f"--set=recorded={recorded}", *settings()]) == 0
    forget_flags()
    return folder


def told(capsys, *arguments):
    """What a command prints as JSON."""
    forget_flags()
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_train_tells_what_it_came_to_and_goes_on(run, capsys):
    found = told(capsys, "train", run, "--set=steps=2")
    assert found["finished"]
    assert found["steps"] == 3
    (name,) = found["ratios"]
    assert name.endswith("good.pb on " + grappler_go.load_machine("p100x2").name + " #0")
    ((skipped, _),) = found["skipped"]
    assert skipped.endswith("bad.pb")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set=stepz=3"], "no field 'stepz'; the nearest is 'steps'"),
        (["--set=network.head=3"], "the nearest is 'network.heads'"),
        (["--set=steps"], "expected FIELD=VALUE"),
        (["--config=missing.json"], "missing.json"),
    ],
)
def test_a_misspelt_field_is_refused(tmp_path, capsys, arguments, message):
    assert main(["train", str(tmp_path / "run"), *arguments]) in (1, 2)
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_ablations_are_flags(tmp_path, recorded, capsys):
    folder = tmp_path / "run"
    flags = ["--no_superposition", "--no_recurrence", "--iterations=1"]
    whole = settings(**{"network.attention": "true", "network.superposition": "true", "steps": "0"})
    told(capsys, "train", folder, f"--set=recorded={recorded}", *whole, *flags)
    network = json.loads((folder / "config.json").read_text())["network"]
    assert (network["superposition"], network["recurrence"]) == (False, False)
    assert (network["attention"], network["iterations"]) == (True, 1)


def test_a_policy_is_trained_further(run, tmp_path, capsys):
    policy = str(tmp_path / "policy")
    forget_flags()
    assert main(["export", str(run), policy]) == 0
    capsys.readouterr()
    flags = [f"--policy={policy}", "--set=imitation_steps=0", "--set=steps=1"]
    assert told(capsys, "train", tmp_path / "run", *flags)["steps"] == 1
    forget_flags()
    assert main(["train", str(tmp_path / "other"), *flags, "--set=network.width=32"]) == 2
    assert "leave its parts alone" in capsys.readouterr().err


def test_fields_are_listed(capsys):
    assert main(["train", "--fields"]) == 0
    out = capsys.readouterr().out
    assert "clip_coef:" in out
    assert "sage_layers" in out


def test_finetune_writes_a_plan(run, recorded, tmp_path, capsys):
    graph = recorded / "good.pb"
    arguments = [f"--policy={run}", "--machine=p100x2", "--set=steps=1"]
    found = told(capsys, "finetune", tmp_path / "one", graph, *arguments)
    assert found["steps"] == 1
    plan = grappler_go.load_plan(tmp_path / "one" / "plan.json")
    plan.validate(grappler_go.CapturedGraph.load(graph).op_graph())


def test_finetune_keeps_the_network_it_was_given(run, recorded, tmp_path, capsys):
    arguments = [f"--policy={run}", "--set=network.width=32"]
    assert main(["finetune", str(tmp_path), str(recorded / "good.pb"), *arguments]) == 2
    assert "leave its parts alone" in capsys.readouterr().err


def test_evaluate_keeps_results(run, recorded, tmp_path, capsys):
    out = tmp_path / "results.jsonl"
    flags = [f"--graphs={recorded / 'good.pb'}", "--machine=p100x2", "--plans=4"]
    flags += ["--methods=policy,policy_best,human_expert", f"--out={out}", "--seeds=0,1"]
    found = told(capsys, "evaluate", run, *flags)
    assert len(found["rows"]) == 6
    assert [one["method"] for one in found["summary"]] == ["policy", "policy_best", "human_expert"]
    before = out.read_text()
    assert told(capsys, "evaluate", run, *flags)["rows"] == found["rows"]
    assert out.read_text() == before


def test_evaluate_names_what_it_cannot_read(run, recorded, capsys):
    flags = [f"--graphs={recorded}", "--machine=p100x2", "--methods=policy", "--json"]
    assert main(["evaluate", str(run), *flags]) == 1
    printed = capsys.readouterr()
    assert "bad.pb" in printed.err
    assert len(json.loads(printed.out)["rows"]) == 1


def test_evaluate_refuses_what_is_no_method(run, capsys):
    assert main(["evaluate", str(run), "--methods=metiz"]) == 2
    assert "metiz" in capsys.readouterr().err


def test_an_exported_policy_is_loaded(run, recorded, tmp_path, capsys):
    found = told(capsys, "export", run, tmp_path / "policy", "--name=mine-1.0")
    assert found["bytes"] < 10e6
    card = json.loads((tmp_path / "policy" / "card.json").read_text())
    assert card["config"]["machines"] == ["p100x2"]
    graph = grappler_go.CapturedGraph.load(recorded / "good.pb")
    grappler_go.decide(graph, policy=str(tmp_path / "policy"))


def test_what_was_exported_is_not_exported_again(tmp_path, capsys):
    assert main(["export", str(native.policy_folder("go-1.0")), str(tmp_path / "copy")]) == 2
    assert "a policy already" in capsys.readouterr().err
    assert not (tmp_path / "copy").exists()


def test_export_does_not_overwrite_other_things(run, tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("mine")
    assert main(["export", str(run), str(tmp_path)]) == 2
    assert "something else than a policy" in capsys.readouterr().err
