"""`grappler-go bench baselines`: resumable, with tables, JSON, a chart and the docs' table."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys
import types

import pytest
from grappler_go_training import baselines
from grappler_go_training.baselines.sweep import machine_of

import grappler_go
from grappler_go.bench import models
from grappler_go.cli import bench_baselines, main

_ROOT = pathlib.Path(__file__).resolve().parent.parent


@dataclasses.dataclass(frozen=True)
class _Workload:
    name: str
    program: str
    family: str = "mlp"
    training: bool = True
    num_devices: int = 2

    def graph(self):
        loaded.append(self.name)
        return graph_of(self.program)


loaded: list[str] = []
_graphs: dict[str, grappler_go.CapturedGraph] = {}


def graph_of(program):
    if program not in _graphs:
        built = models.build(program)
        _graphs[program] = grappler_go.capture(built.step, *built.args)[0]
    return _graphs[program]


@pytest.fixture
def workloads(monkeypatch):
    """Two of them in place of the paper's, as grappler_go_training.workloads has them."""
    two = {
        "small-2": _Workload("small-2", "mlp-train"),
        "small-4": _Workload("small-4", "dlrm-train", num_devices=4),
    }
    module = types.ModuleType("grappler_go_training.workloads")
    module.names = lambda paper=False: list(two)
    module.get = two.__getitem__
    monkeypatch.setitem(sys.modules, "grappler_go_training.workloads", module)
    loaded.clear()
    return two


def _bench(capsys, *flags):
    # Flags keep their values from call to call in one process.
    from grappler_go.cli import bench

    bench.FLAGS.unparse_flags()
    for name in bench.FLAGS:
        bench.FLAGS[name].unparse()
    status = main.main(["bench", "baselines", *flags])
    told = capsys.readouterr()
    return status, told.out, told.err


def test_the_machine_has_as_many_gpus_as_the_workload_is_for():
    for count, name in ((1, "p100x2"), (2, "p100x2"), (3, "p100x4"), (4, "p100x4"), (8, "p100x8")):
        assert machine_of(_Workload("any", "mlp-train", num_devices=count)) == name


def test_cells_are_what_the_simulator_says_of_the_plan(workloads):
    cells = list(baselines.sweep(workloads.get, ["small-4"], ["human_expert"]))
    graph = graph_of("dlrm-train").op_graph()
    machine = grappler_go.load_machine("p100x4")
    plan = baselines.make_plan("human_expert", graph, machine, free_state=True)
    step = grappler_go.simulate(graph, plan, machine)
    assert [cell.step_ms for cell in cells] == [step.step_ms]
    assert cells[0].peak_bytes == max(step.peak_bytes.values())
    assert (cells[0].machine, cells[0].num_ops) == ("p100x4", graph.num_ops)
    assert not cells[0].error


def test_a_table_of_steps_and_one_of_seconds(workloads, capsys):
    status, out, _ = _bench(capsys, "--baselines=tensorflow_default,m_etf")
    assert status == 0
    lines = out.splitlines()
    assert "milliseconds of a simulated step" in out
    assert "seconds to make the plan" in out
    head = next(line for line in lines if "tensorflow_default" in line)
    assert "m_etf" in head
    assert sum(line.startswith(("small-2 ", "small-4 ")) for line in lines) == 4


def test_what_is_in_the_file_is_not_worked_out_again(workloads, capsys, tmp_path):
    out = f"--out={tmp_path / 'results' / 'b.jsonl'}"
    flags = (out, "--json", "--baselines=one_device,m_topo", "--seeds=0,1")
    status, first, _ = _bench(capsys, *flags, "--workloads=small-2")
    assert status == 0
    assert len(json.loads(first)) == 4
    assert loaded == ["small-2"]
    _, again, _ = _bench(capsys, *flags, "--workloads=small-2")
    assert again == first
    assert loaded == ["small-2"]
    _, both, _ = _bench(capsys, *flags)
    assert json.loads(both)[:4] == json.loads(first)
    assert loaded == ["small-2", "small-4"]
    # Another budget is another result.
    _bench(capsys, *flags, "--workloads=small-2", "--budget=3")
    assert loaded == ["small-2", "small-4", "small-2"]
    lines = (tmp_path / "results" / "b.jsonl").read_text().splitlines()
    assert len(lines) == 12


def test_a_sweep_that_was_stopped_has_kept_what_was_done(workloads, capsys, tmp_path, monkeypatch):
    from grappler_go_training.baselines import simple
    from grappler_go_training.baselines.registry import BASELINES

    def stop(problem, budget, seed):
        raise KeyboardInterrupt

    stopping = dataclasses.replace(BASELINES["one_device"], make=stop)
    out = f"--out={tmp_path / 'b.jsonl'}"
    flags = (out, "--json", "--baselines=tensorflow_default,one_device", "--workloads=small-2")
    with monkeypatch.context() as patched:
        patched.setitem(BASELINES, "one_device", stopping)
        assert _bench(capsys, *flags)[0] == 130
    assert len((tmp_path / "b.jsonl").read_text().splitlines()) == 1
    assert simple.one_device is BASELINES["one_device"].make
    status, told, _ = _bench(capsys, *flags)
    assert status == 0
    assert [cell["baseline"] for cell in json.loads(told)] == ["tensorflow_default", "one_device"]


def test_a_baseline_that_fails_says_why_and_the_others_go_on(workloads, capsys, monkeypatch):
    from grappler_go_training.baselines.registry import BASELINES

    def fail(problem, budget, seed):
        raise ValueError("no such luck")

    monkeypatch.setitem(BASELINES, "m_topo", dataclasses.replace(BASELINES["m_topo"], make=fail))
    flags = ("--baselines=m_topo,one_device", "--workloads=small-2")
    status, out, _ = _bench(capsys, *flags)
    assert status == 1
    assert "failed" in out
    assert "m_topo: no such luck" in out


def test_what_does_not_fit_is_told_as_out_of_memory():
    cell = baselines.Cell(
        *("w", "f", True, "p100x2", 10, "metis", 0, 200, None, 1234.5, False, 1, 0.5, "", "here")
    )
    twice = dataclasses.replace(cell, step_ms=1235.5)
    assert bench_baselines.step_text([cell, twice]) == "1,235"
    assert bench_baselines.step_text([cell, dataclasses.replace(cell, out_of_memory=True)]) == "OOM"


def test_names_that_do_not_exist_are_told(workloads, capsys):
    for flags, message in (
        ("--baselines=metis,astrology", "no baseline 'astrology'"),
        ("--workloads=small-3", "no workload 'small-3'; there are small-2, small-4"),
        ("--seeds=one", "expected numbers"),
    ):
        status, _, err = _bench(capsys, flags)
        assert status == 2
        assert message in err


def test_a_file_that_is_something_else_is_left_alone(workloads, capsys, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not ours\n")
    status, _, err = _bench(capsys, f"--out={path}")
    assert status == 2
    assert "line 1: not a result of bench baselines" in err
    assert path.read_text() == "not ours\n"


def test_without_the_training_package_it_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "grappler_go_training.baselines", None)
    status, _, err = _bench(capsys)
    assert status == 2
    assert "pip install 'grappler-go[train,baselines]'" in err


def test_the_chart_is_drawn(workloads, capsys, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "steps.png"
    flags = ("--baselines=human_expert,m_etf", "--json", f"--chart={path}")
    assert _bench(capsys, *flags)[0] == 0
    assert path.read_bytes().startswith(b"\x89PNG")


def test_the_package_does_not_import_the_training_package():
    for path in (_ROOT / "grappler_go").rglob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.split()
            assert not (
                words[:1] in (["import"], ["from"]) and words[1].startswith("grappler_go_training")
            ), path
