"""`grappler-go bench gains`: rows, what they add up to, the command, the docs' table."""

from __future__ import annotations

import json
import pathlib

import pytest
from grappler_go_training import workloads

from grappler_go import guard
from grappler_go.bench import chart, gains, gains_programs, harness, models, worker
from grappler_go.bench.harness import Result
from grappler_go.cli import bench, bench_gains, main

_ROOT = pathlib.Path(__file__).resolve().parent.parent


def _result(mode, ms, first=1000.0, default_ms=10.0, **more):
    return Result(
        mode,
        median_ms=ms,
        first_ms=first,
        speedup=default_ms / ms,
        speedup_low=default_ms / ms,
        speedup_high=default_ms / ms,
        peak_mb=100.0,
        steps=9,
        **more,
    )


def _row(program="black-scholes", ours_ms=5.0, first=3000.0, compiled=True, **results):
    found = {
        "default": _result("default", 10.0),
        "jit": _result("jit", 20.0),
        "auto": _result("auto", 8.0),
        "ours": _result("ours", ours_ms, first, difference=1e-6),
        **results,
    }
    return gains.Row(program, found, "1 group", compiled, "a day, a machine")


def _tuned(ms, verdict="plan", tuning_s=30.0, first=1000.0):
    result = _result("tuned", ms, first, verdict=verdict, tuning_s=tuning_s, budget_s=120.0)
    result.plan = "no convolutions" if verdict == "plan" else "TensorFlow's default"
    return result


@pytest.fixture
def measured(monkeypatch):
    """harness.compare that answers at once; what it was asked."""
    asked = []

    def compare(spec, modes, **options):
        asked.append((spec, tuple(modes), options))
        report = {"applied": True, "groups": 1, "grouped_ops": 30, "num_nodes": 40}
        row = _row(tuned=_tuned(4.0))
        row.results["ours"].reports = [report, {"applied": False, "num_nodes": 90}]
        return {mode: row.results[mode] for mode in modes}

    monkeypatch.setattr(harness, "compare", compare)
    return asked


def _bench(capsys, *flags):
    # Flags keep their values from call to call in one process.
    bench.FLAGS.unparse_flags()
    for name in bench.FLAGS:
        bench.FLAGS[name].unparse()
    status = main.main(["bench", "gains", *flags])
    told = capsys.readouterr()
    return status, told.out, told.err


def test_there_are_thirty_programs_of_both_kinds_and_many_families():
    programs = gains_programs.PROGRAMS
    assert len(programs) >= 30
    assert len({program.name for program in programs}) == len(programs)
    trained = [program for program in programs if program.name.endswith("-train")]
    assert 10 <= len(trained) <= len(programs) - 10
    assert len({program.family for program in programs}) >= 15


@pytest.mark.parametrize("program", gains_programs.PROGRAMS, ids=lambda program: program.name)
def test_it_says_which_families_training_sees(program):
    assert program.held_out == (workloads.SPLIT_OF[program.family] != "train")


@pytest.mark.parametrize("program", gains_programs.PROGRAMS, ids=lambda program: program.name)
def test_every_program_is_one_that_can_be_built(program):
    name = program.spec
    if name.startswith(gains_programs.__name__):
        function = getattr(gains_programs, name.partition(":")[2])
        assert program.name.replace("-", "_") == function.__name__
    else:
        known = {f"{base}-{kind}" for base in models.applications() for kind in ("infer", "train")}
        assert name in known | set(models.names())


@pytest.mark.parametrize("name", ["monte-carlo", "lstm-loop-infer", "two-tower-train"])
def test_a_program_computes_the_same_each_time_it_is_built(name):
    import numpy as np
    import tensorflow as tf

    def first_outputs():
        program = models.build(gains_programs.BY_NAME[name].spec)
        return [t.numpy() for t in tf.nest.flatten(tf.function(program.step)(*program.args))]

    for a, b in zip(first_outputs(), first_outputs(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
        assert np.isfinite(a).all()


def test_break_even_is_what_the_first_step_cost_more_over_what_a_step_gains():
    assert _row(ours_ms=5.0, first=3000.0).break_even("ours") == pytest.approx(400)
    assert _row(ours_ms=5.0, first=900.0).break_even("ours") == 0
    assert _row(ours_ms=10.0).break_even("ours") is None
    assert _row(ours_ms=11.0, first=900.0).break_even("ours") is None
    # And what the steps that the guard timed took beyond what they take from then on.
    row = _row(ours_ms=5.0, first=900.0)
    row.results["default"].first_ms = 900.0
    row.results["ours"].trial_ms = [1005.0, 10.0, 5.0]
    assert row.break_even("ours") == pytest.approx(1005 / 5)


def test_what_the_guard_took_back_is_told_from_what_was_left_alone():
    row = _row(compiled=False)
    assert row.break_even_text == "not compiled"
    row.decision = f"no faster {guard.GONE_BACK}"
    assert row.break_even_text == "taken back"
    assert gains.summarize([row, _row()]).taken_back == 1
    assert _row(ours_ms=5.0, first=3000.0).break_even_text == "400"
    assert _row(ours_ms=11.0).break_even_text == "never"


def test_the_best_of_others_is_the_default_where_jit_and_auto_lose():
    assert _row().best_of_others == pytest.approx(1.25)
    slow = _row(jit=_result("jit", 20.0), auto=Result("auto", error="died"))
    assert slow.best_of_others == 1.0
    assert slow.speedup("auto") is None


def test_rows_add_up():
    rows = [
        _row(ours_ms=5.0, first=3000.0),
        _row("vae-train", ours_ms=10.0 / 0.5, first=1500.0),
        _row("k-means", ours_ms=10.0, first=1000.0, compiled=False),
        _row("mlp-train", ours=Result("ours", error="died")),
    ]
    summary = gains.summarize(rows)
    assert summary.programs == 4
    assert summary.geometric_means["ours"] == pytest.approx((2.0 * 0.5 * 1.0) ** (1 / 3))
    assert summary.held_out_means["ours"] == pytest.approx((2.0 * 1.0) ** (1 / 2))
    assert summary.geometric_means["best of others"] == pytest.approx(1.25)
    assert summary.against_best["ours"] == pytest.approx((2.0 * 0.5 * 1.0) ** (1 / 3) / 1.25)
    assert summary.slowest["ours"] == pytest.approx(0.5)
    assert summary.first_step["ours"] == pytest.approx(3.0)
    assert (summary.compiled, summary.taken_back, summary.break_even) == (2, 0, 1)
    assert summary.difference["ours"] == pytest.approx(1e-6)
    assert "tuned" not in summary.geometric_means
    assert (summary.tuned, summary.tuning_s) == ({}, 0)


def test_tuning_adds_up():
    rows = [
        _row(tuned=_tuned(4.0)),
        _row("vae-train", tuned=_tuned(10.0, "default", 60.0)),
        _row("k-means", tuned=_tuned(5.0, "undecided", 120.0)),
        _row("mlp-train", tuned=Result("tuned", error="CannotTuneError: it prints")),
    ]
    summary = gains.summarize(rows)
    assert summary.geometric_means["tuned"] == pytest.approx((2.5 * 1.0 * 2.0) ** (1 / 3))
    assert summary.tuned == {"plan": 1, "default": 1, "undecided": 1}
    assert summary.tuning_s == pytest.approx(210.0)
    assert "a plan for 1 of 3 programs" in summary.tuning_text
    assert "3.5 min" in summary.tuning_text
    texts = ["30", "60, default", "120, undecided", ""]
    assert [row.tuning_text for row in rows] == texts


def test_what_tuning_took_has_to_be_won_back_too():
    assert _row(tuned=_tuned(5.0, first=900.0)).break_even("tuned") == pytest.approx(5980)


def test_a_row_comes_back_from_json_as_it_was():
    row = _row()
    assert gains.Row.from_dict(json.loads(json.dumps(row.to_dict()))) == row


def test_a_program_is_measured_at_its_size_and_its_decision_is_kept(measured):
    row = gains.measure(gains_programs.BY_NAME["resnet50-train"], ("default", "ours"), rounds=2)
    ((spec, modes, options),) = measured
    assert (spec, modes) == ("resnet50-train", ("default", "ours"))
    assert options["image_size"] == 64
    assert options["rounds"] == 2
    assert options["compare_steps"] == 1
    assert row.compiled
    assert row.decision.startswith("0 updates by kernels, 0 loops by XLA, 30 of 40 ops in 1 group")
    assert row.results["ours"].reports == []


def test_of_a_graph_that_was_tried_later_the_plan_is_told():
    untried = {"num_nodes": 40, "applied": True, "outcome": "applied", "updates": 3}
    tried = {**untried, "groups": 1, "grouped_ops": 30}
    for reports in ([untried, tried], [tried, untried]):
        decision, compiled = gains._decided(Result("ours", reports=reports))
        assert compiled
        assert decision.startswith("3 updates by kernels, 0 loops by XLA, 30 of 40 ops")


def test_steps_are_timed_once_nothing_waits_or_is_tried(monkeypatch):
    turns = iter(["waits"] * 50 + ["undecided"] * 7)
    state = [next(turns)]
    monkeypatch.setattr(guard, "is_waiting", lambda: state[0] == "waits")
    monkeypatch.setattr(guard, "is_undecided", lambda: state[0] == "undecided")

    class Steps(worker.Worker):
        def __init__(self):
            pass

        def time(self, request):
            state[0] = next(turns, "")
            return {"ms": [1.0] * request["steps"]}

    assert len(Steps()._until_decided()) == 57


def test_the_command_tunes_unless_it_is_told_otherwise(measured, capsys):
    status, told, _ = _bench(capsys, "black-scholes", "--tune_minutes=3", "--tuned_plans=here")
    assert status == 0
    (_, modes, options), *_ = measured
    assert list(modes) == [*harness.UNTUNED, harness.TUNED]
    assert (options["tune_s"], options["tuned_plans"]) == (180.0, "here")
    # In the row and in the mean.
    assert told.count("2.50x") == 3
    assert "Tuning took 0.5 min in all" in " ".join(told.split())
    _bench(capsys, "black-scholes", "--modes=default,ours")
    assert measured[1][1] == ("default", "ours")


def test_the_command_goes_on_where_it_was(measured, capsys, tmp_path):
    out = tmp_path / "sub" / "gains.jsonl"
    status, _, _ = _bench(capsys, "black-scholes", f"--out={out}")
    assert status == 0
    assert len(measured) == 1
    status, told, _ = _bench(capsys, "black-scholes", "k-means", f"--out={out}")
    assert status == 0
    assert [spec for spec, _, _ in measured][1:] == ["grappler_go.bench.gains_programs:k_means"]
    assert "geometric mean" in told
    assert "2.00x" in told
    assert "400" in told
    assert len(out.read_text(encoding="utf-8").splitlines()) == 2


def test_the_command_prints_json_and_stores_it(measured, capsys, tmp_path):
    save = tmp_path / "gains.json"
    status, told, _ = _bench(capsys, "black-scholes", "--json", f"--save={save}", "--rounds=3")
    assert status == 0
    assert json.loads(told)["summary"]["geometric_means"]["ours"] == pytest.approx(2.0)
    assert json.loads(told)["summary"]["tuned"] == {"plan": 1}
    (row,) = json.loads(told)["gains"]
    assert row["results"]["tuned"]["tuning_s"] == 30.0
    assert row["results"]["tuned"]["plan"] == "no convolutions"
    assert json.loads(told) == json.loads(save.read_text(encoding="utf-8"))
    assert measured[0][2]["rounds"] == 3


def test_the_command_hands_a_file_of_op_times_to_ours(measured, capsys):
    _bench(capsys, "black-scholes", "--machine=mine.json")
    assert measured[0][2]["machine"] == "mine.json"


def test_a_mode_that_failed_is_told_and_fails_the_command(monkeypatch, capsys):
    row = _row(jit=Result("jit", error="the process died (signal 11)"))
    monkeypatch.setattr(gains, "measure", lambda *_, **__: row)
    status, told, _ = _bench(capsys, "black-scholes")
    assert status == 1
    assert "black-scholes: jit_compile=True failed: the process died (signal 11)" in told


@pytest.mark.parametrize("text", ["nonsense\n", '{"program": "x"}\n', '["x"]\n'])
def test_a_file_of_something_else_is_refused(measured, capsys, tmp_path, text):
    out = tmp_path / "other.jsonl"
    out.write_text(text, encoding="utf-8")
    status, _, said = _bench(capsys, "black-scholes", f"--out={out}")
    assert status != 0
    assert "line 1: not a row of bench gains" in said
    assert not measured


def test_an_unknown_mode_is_refused(measured, capsys):
    status, _, said = _bench(capsys, "black-scholes", "--modes=fast")
    assert status != 0
    assert "no mode 'fast'; there are default, jit, auto, ours, tuned" in said


def test_the_chart_has_a_row_for_each_program_that_ours_ran(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "gains.svg"
    rows = [_row(), _row("k-means"), _row("vae-train", ours=Result("ours", error="died"))]
    chart.draw_gains({row.program: row.results for row in rows}, path, "a machine")
    text = path.read_text(encoding="utf-8")
    for name, there in (("black-scholes", True), ("k-means", True), ("vae-train", False)):
        assert (f"<!-- {name} -->" in text) == there
    assert f"<!-- {chart.TITLES['tuned']} -->" not in text
    rows = {"black-scholes": _row(tuned=_tuned(4.0)).results}
    for draw in (chart.draw_gains, chart.draw):
        draw(rows, path, "a machine")
        assert f"<!-- {chart.TITLES['tuned']} -->" in path.read_text(encoding="utf-8")


def test_the_docs_table_is_made_of_rows(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(_ROOT / "build_defs"))
    import benchmark_tables

    page = "before\n<!-- gains: g.jsonl -->\n<!-- end -->\nafter\n"
    (tmp_path / "results").mkdir()
    monkeypatch.setattr(benchmark_tables, "DOCS", tmp_path)
    assert benchmark_tables.rendered(page) == page
    lines = [
        _row(tuned=_tuned(4.0)).to_dict(),
        _row("k-means", ours_ms=10.0, compiled=False).to_dict(),
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "results" / "g.jsonl").write_text(text, encoding="utf-8")
    written = benchmark_tables.rendered(page)
    assert "a day, a machine" in written
    assert "| black-scholes | 10 | 0.50x | 1.25x | **2.00x** | 2.50x |" in written
    assert "| 1.0-3.0 | 400 | 100-100 | 1e-06 | 30 |" in written
    assert "a plan for 1 of 1 programs" in written
    assert "| *geometric mean* |  | 0.50x | 1.25x | **1.41x** |" in written
    assert benchmark_tables.rendered(written) == written
    few = benchmark_tables.rendered("<!-- gain: g.jsonl -->\n<!-- end -->\n")
    assert "2 programs, training and inference" in few
    assert "a day, a machine" in few
    assert "](docs/results/g.png)" in few
    assert "| geometric mean | 0.50x | 1.25x | 1.41x | 2.50x | 1.25x |" in few
    assert "| the slowest | 0.50x | 1.25x | 1.00x | 2.50x |  |" in few


def test_bench_gains_reads_what_it_wrote(tmp_path):
    path = tmp_path / "gains.jsonl"
    bench_gains.append(str(path), _row())
    assert bench_gains.read(str(path)) == {"black-scholes": _row()}
