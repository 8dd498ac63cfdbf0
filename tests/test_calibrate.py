"""grappler-go calibrate: timings kept in a folder, fitted, written as a machine, used."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import grappler_go

pytest.importorskip("scipy")
from grappler_go_training.calibrate import fit, machine, op_cases, session

from grappler_go import _core
from grappler_go.bench import process
from grappler_go.cli import main as cli

_ANSWERS = {
    "about": {"cpu": "a cpu", "cores": 2, "tensorflow": "2.21.0", "memory_bytes": 8 << 30},
    "memory": {"new": 30.0, "cold_read": 20.0},
    "watch": {"micros": 50.0},
    "launch": {
        "group_launch_micros": 9.0,
        "group_tensor_micros": 3.0,
        "group_output_micros_per_mb": 90.0,
    },
}


class _Worker:
    """Answers without timing anything; remembers what it was asked."""

    def __init__(self, fail=(), die=()):
        self.asked, self._fail, self._die = [], fail, die
        self.closed = False

    def ask(self, request, timeout_s):
        assert not self.closed
        label = request.get("label", request["do"])
        self.asked.append(label)
        if label in self._fail or label in self._die:
            raise process.WorkerError("no such kernel", alive=label in self._fail)
        if request["do"] == "hop":
            assert request["pids"] == [11, 12]
            micros = 4e-3 * request["elements"]
            return {"micros": 100.0 + micros, "cpu_micros": 50.0 + micros / 2}
        return _ANSWERS.get(request["do"], {"tf_micros": 10.0, "xla_micros": 5.0})

    def close(self, patience_s):
        self.closed = True


@pytest.fixture
def workers(monkeypatch):
    """The workers that were started, in order; each is made by make(number)."""
    started = []

    def use(make):
        def start(folder, cores):
            started.append(make(len(started)))
            return started[-1]

        monkeypatch.setattr(session, "_worker", start)
        return started

    return use


def _labels(op):
    return [case.label for case in op_cases.all_cases() if op in case.op]


def test_a_stopped_run_goes_on_where_it_was(tmp_path, workers):
    started = workers(lambda number: _Worker())
    session.time_machine(tmp_path, only="Floor")
    file = tmp_path / "timings.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines[:3]) + "\n" + lines[3][:20])  # killed while it wrote
    timings = session.time_machine(tmp_path, only="Floor")
    labels = _labels("Floor")
    assert started[0].asked == ["about", "watch", *labels, "memory", "launch", "watch"]
    assert started[1].asked == [*labels[1:], "memory", "launch", "watch"]
    assert [sample.label for sample in timings.samples] == labels
    assert timings.memory == _ANSWERS["memory"]
    assert session.time_machine(tmp_path, only="Floor") == timings
    assert len(started) == 2


def test_a_case_that_fails_is_left_out_and_said(tmp_path, workers):
    labels = _labels("Floor")
    started = workers(lambda number: _Worker(fail=labels[:1], die=labels[1:2] * (number == 0)))
    timings = session.time_machine(tmp_path, only="Floor")
    assert [sample.label for sample in timings.samples] == labels[2:]
    assert timings.failed == dict.fromkeys(labels[:2], "no such kernel")
    # The one that died was started again and went on.
    assert started[0].closed
    assert started[1].asked == [*labels[2:], "memory", "launch", "watch"]


def test_what_was_timed_beside_something_else_is_timed_once_more(tmp_path, workers, monkeypatch):
    cases = [case for case in op_cases.all_cases() if "MatMul" in case.op][:6]
    labels = [case.label for case in cases]
    monkeypatch.setattr(op_cases, "all_cases", lambda: cases)
    watched = iter([50.0, 52.0, 90.0, 51.0, 53.0, 70.0, 54.0])
    timed = iter([(10.0, 5.0)] * 6 + [(8.0, 6.0)] * 4)

    class Disturbed(_Worker):
        def ask(self, request, timeout_s):
            answer = super().ask(request, timeout_s)
            if request["do"] == "watch":
                return {"micros": next(watched)}
            if request["do"] == "case":
                return dict(zip(("tf_micros", "xla_micros"), next(timed), strict=True))
            return answer

    started = workers(lambda number: Disturbed())
    monkeypatch.setattr(session, "_WATCH_EVERY", 2)
    timings = session.time_machine(tmp_path, only="MatMul")
    # 90 was watched between the second pair of cases and the third.
    before = ["about", "watch", *labels[:2], "watch", *labels[2:4], "watch", *labels[4:]]
    again = ["watch", *labels[2:4], "watch", *labels[4:], "memory", "launch", "watch"]
    assert started[0].asked == [*before, "memory", "launch", "watch", *again]
    times = [(one.tf_micros, one.xla_micros) for one in timings.samples]
    assert times == [(10.0, 5.0)] * 2 + [(8.0, 5.0)] * 4
    assert timings.watched == [50.0, 52.0, 70.0, 51.0]
    assert timings.unsteadiness == pytest.approx(1.4)
    # It is still unsteady, but once more is enough.
    assert session.time_machine(tmp_path, only="MatMul") == timings
    assert len(started) == 1


def test_what_ran_beside_it_is_told(tmp_path, monkeypatch, capsys):
    assert _timings(watched=[]).unsteadiness == 1.0
    timings = [_timings(watched=watched, only="MatMul") for watched in ([50, 90], [50, 52])]
    monkeypatch.setattr(session, "time_machine", lambda *_, **__: timings.pop(0))
    assert cli.main(["calibrate", f"--out={tmp_path / 'm.json'}", "--json"]) == 0
    told = capsys.readouterr()
    assert "took up to 1.8 times as long" in told.err
    assert "up to 1.80 times its quickest" in json.loads(told.out)["sources"]["steadiness"]
    assert cli.main(["calibrate", f"--out={tmp_path / 'm.json'}", "--json"]) == 0
    assert "something else" not in capsys.readouterr().err


def test_a_machine_without_tensorflow_is_an_error(tmp_path, workers):
    workers(lambda number: _Worker(die=["about"]))
    with pytest.raises(process.WorkerError, match="no such kernel"):
        session.time_machine(tmp_path, only="Floor")


@pytest.mark.parametrize("count", [1, 3, -1])
def test_workers_are_none_or_two(tmp_path, count):
    with pytest.raises(ValueError, match="expected 0"):
        session.time_machine(tmp_path, workers=count)


def test_two_workers_need_two_cores(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    with pytest.raises(ValueError, match="there are 1"):
        session.time_machine(tmp_path, workers=2)


def test_the_worker_times_a_case(tmp_path):
    worker = session._worker(str(tmp_path), None)
    try:
        answer = worker.ask({"do": "case", "label": "MatMul 64x256 256x256"}, 200)
        about = worker.ask({"do": "about"}, 200)
    finally:
        worker.close()
    assert answer["tf_micros"] > 5
    assert answer["xla_micros"] > 5
    assert about["cores"] == len(os.sched_getaffinity(0))
    assert about["memory_bytes"] > 1 << 28


def _timings(hops=(), watched=(), only=""):
    """A machine on which every op takes 2 us, 5 a Mflop and 40 a MB; compiled half, and in
    front of that 3 for each tensor handed over where ops are timed side by side. only: the
    cases of one op, which are quick to fit."""
    samples = []
    for case in op_cases.all_cases():
        if only not in case.op:
            continue
        work = fit.work_of(case)
        micros = float(fit.terms(work.flops, work.bytes_moved) @ [2, 5, 40, 0])
        handed = 0 if case.chain else 3 * fit._num_tensors(case)
        samples.append(session.measure.Sample(case.label, case.op, micros, micros / 2 + handed))
    return session.Timings(
        _ANSWERS["about"], samples, {}, _ANSWERS["memory"], _ANSWERS["launch"], hops, watched
    )


@pytest.fixture(scope="module")
def timed():
    return machine.machine_of(_timings())


def _product():
    import tensorflow as tf

    function = tf.function(tf.matmul).get_concrete_function(
        tf.TensorSpec([300, 200]), tf.TensorSpec([200, 100])
    )
    return _core.OpGraph(function.graph.as_graph_def().SerializeToString())


def test_the_machine_takes_what_was_timed(timed):
    graph = _product()
    alone, compiled = _core.op_micros(graph, timed)
    op = graph.ops.index("MatMul")
    expected = 2 + 5 * 12 + 40 * 4e-6 * (300 * 200 + 200 * 100 + 300 * 100)
    # Handing over is taken to be what the cheapest op of all took, which did a little, too.
    each = fit.handover_micros(op_cases.all_cases(), _timings().samples)
    assert 3 < each < 4
    inside = expected / 2 - 3 * (each - 3)
    np.testing.assert_allclose(alone[op], expected, rtol=1e-3)
    # One number for all ops is taken off timings in proportion to their tensors.
    np.testing.assert_allclose(compiled[op], inside, rtol=5e-3)
    # What is simulated is what was timed, too.
    simulated = grappler_go.simulate(graph, None, timed)
    assert simulated.step_ms * 1e3 == pytest.approx(expected, rel=1e-2)


def test_the_machine_is_a_file_as_any_other(timed, tmp_path):
    path = tmp_path / "machine.json"
    path.write_text(timed.to_json())
    read = grappler_go.load_machine(path)
    assert read.to_json() == timed.to_json()
    (device,) = read.devices
    assert device["cores"] == 2
    assert device["gflops"] == pytest.approx(200, rel=0.05)  # 5 us a Mflop
    assert device["gbytes_per_s"] == pytest.approx(25, rel=0.05)  # 40 us a MB
    assert device["calibration"]["group_tensor_us"] == 3.0
    again = grappler_go.Machine("copy", devices=[device])
    assert again.devices[0]["calibration"] == device["calibration"]


def test_two_workers_have_links(timed):
    machine_of_two = machine.machine_of(
        _timings([(1, 100.0, 50.0), (1 << 20, 100 + 4e3, 50 + 3e3)], only="MatMul")
    )
    assert len(machine_of_two.devices) == 2
    for link in machine_of_two.links:
        assert link["latency_us"] == pytest.approx(100, rel=0.01)
        assert link["gbytes_per_s"] == pytest.approx(1.05, rel=0.01)
        assert link["cpu_us"] == pytest.approx(50, rel=0.01)
        assert link["cpu_us_per_mb"] == pytest.approx(3e3 / 4.194, rel=0.01)


def test_nothing_timed_is_an_error():
    timings = _timings()
    with pytest.raises(ValueError, match="no such kernel"):
        machine.machine_of(session.Timings(timings.about, [], {"a": "no such kernel"}, {}, {}, ()))


_PROGRAM = """
import tensorflow as tf
import grappler_go
grappler_go.enable(min_gain=0.5)
@tf.function
def step(x):
    for _ in range(12):
        x = tf.tanh(x) * x - 0.5
    return x
step(tf.ones((64, 64)))
print(grappler_go.reports()[-1].outcome)
print(grappler_go.native.core().local_machine_state())
"""


def _outcome(path):
    environment = {**os.environ, "GRAPPLER_GO_MACHINE": str(path)}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_pass_decides_with_what_was_timed_here(timed, tmp_path):
    """Under a file that says that compiled ops are free a group pays; under none, and under
    one of another processor, half of the step is not to be gained."""
    values = json.loads(timed.to_json())
    calibration = values["devices"][0]["calibration"]
    calibration.update(
        cpu=_core.cpu_model(),
        cores=len(os.sched_getaffinity(0)),
        group_launch_us=0,
        group_tensor_us=0,
        group_output_us_per_mb=0,
        cold_read_us_per_mb=0,
        new_us_per_mb=0,
    )
    for table in (*calibration["ops"].values(), *calibration["classes"].values()):
        table["group"] = [0, 0, 0, 0]
    file = tmp_path / "machine.json"
    file.write_text(json.dumps(values))
    assert _outcome(file)[0] == "applied"
    calibration["cpu"] = "another"
    file.write_text(json.dumps(values))
    outcome, state = _outcome(file)[:2]
    assert outcome != "applied"
    assert 'of "another"' in state
    file.write_text("{")
    assert _outcome(file)[0] != "applied"
