"""What the documentation claims, against what is stored and what is there."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys

import pytest
from grappler_go_training import baselines

from grappler_go import advanced

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_SCRIPT = _ROOT / "build_defs" / "benchmark_tables.py"
_PAGES = [_ROOT / "README.md", _ROOT / "CONTRIBUTING.md", *sorted((_ROOT / "docs").glob("*.md"))]


def test_tables_are_what_the_stored_results_say():
    done = subprocess.run(
        [sys.executable, str(_SCRIPT), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_lists_are_what_the_code_has(monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(str(_SCRIPT.parent))
    import reference_tables

    assert reference_tables.main(["--check"]) == 0, capsys.readouterr().out
    page = tmp_path / "page.md"
    text = "".join(path.read_text(encoding="utf-8") for path in reference_tables.PAGES)
    for name in [*baselines.BASELINES, *advanced.OPTIONS]:
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        page.write_text(text.replace(row + "\n", ""), encoding="utf-8")
        monkeypatch.setattr(reference_tables, "PAGES", (page,))
        assert reference_tables.main(["--check"]) == 1
    assert "is not what the code says" in capsys.readouterr().out


def test_a_source_is_one_sentence(monkeypatch):
    monkeypatch.syspath_prepend(str(_SCRIPT.parent))
    from reference_tables import source_of

    def function():
        """What.

        Source: Kim et al., "Paper" (J. Sci. 1998), tensorflow/core/
        placer.cc. We differ.
        """

    assert source_of(function) == 'Kim et al., "Paper" (J. Sci. 1998), tensorflow/core/placer.cc'
    with pytest.raises(ValueError, match="no `Source:`"):
        source_of(test_links_to_files_lead_somewhere)


def test_a_table_that_was_changed_by_hand_is_noticed(monkeypatch, tmp_path, capsys):
    sys.path.insert(0, str(_SCRIPT.parent))
    import benchmark_tables

    page = tmp_path / "page.md"
    text = (_ROOT / "README.md").read_text(encoding="utf-8")
    page.write_text(re.sub(r"\| \d\.\d\dx", "| 9.99x", text, count=1), encoding="utf-8")
    monkeypatch.setattr(benchmark_tables, "PAGES", (page,))
    assert benchmark_tables.main(["--check"]) == 1
    assert "is not what docs/results say" in capsys.readouterr().out
    assert benchmark_tables.main([]) == 0
    assert benchmark_tables.main(["--check"]) == 0
    assert "9.99x" not in page.read_text(encoding="utf-8")


def test_the_section_about_baselines_is_there_once_there_are_results(monkeypatch, tmp_path):
    sys.path.insert(0, str(_SCRIPT.parent))
    import benchmark_tables

    page = "before\n<!-- section: b.jsonl -->\n<!-- end -->\nafter\n"
    (tmp_path / "results").mkdir()
    monkeypatch.setattr(benchmark_tables, "DOCS", tmp_path)
    assert benchmark_tables.rendered(page) == page
    cell = {"workload": "w-2", "machine": "p100x2", "baseline": "metis", "plans": 50, "error": ""}
    cell |= {"step_ms": 12.0, "out_of_memory": False, "seconds": 0.25}
    cell |= {"max_seconds": 30.0, "where": "a machine"}
    lines = [
        cell,
        cell | {"step_ms": 14.0},
        cell | {"baseline": "heft", "out_of_memory": True},
        cell | {"workload": "w-4", "baseline": "heft", "step_ms": 1234.0},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "results" / "b.jsonl").write_text(text, encoding="utf-8")
    written = benchmark_tables.rendered(page)
    assert "50 plans" in written
    assert "30 s allow" in written
    assert "a machine" in written
    assert "| ms a step (s to plan) | metis | heft |" in written
    assert "| w-2 (p100x2) | 13 (0.25) | OOM (0.25) |" in written
    assert "| w-4 (p100x2) |  | 1,234 (0.25) |" in written
    assert benchmark_tables.rendered(written) == written
    assert written.endswith("<!-- end -->\nafter\n")


def test_the_table_about_fidelity_says_which_targets_are_missed(monkeypatch, tmp_path):
    pytest.importorskip("scipy")
    sys.path.insert(0, str(_SCRIPT.parent))
    import benchmark_tables
    from grappler_go_training.measure.agreement import Row

    page = "<!-- table: f.jsonl -->\n<!-- end -->\nafter\n"
    (tmp_path / "results").mkdir()
    monkeypatch.setattr(benchmark_tables, "DOCS", tmp_path)
    assert "Not measured yet." in benchmark_tables.rendered(page)
    rows = [
        Row(
            program, "cluster", str(number), "device", f"{program}{number}",
            ms=ms, reference_ms=10.0, ratio=ms / 10, simulated_ms=ms * wrong,
            simulated_reference_ms=10.0, peak_bytes=100, simulated_peak_bytes=95,
            judge_ms=ms, machine="m", where="a place",
        )
        for program, wrong in (("good", 1.05), ("bad", 2.0))
        for number, ms in enumerate((10.0, 20.0, 30.0))
    ]  # fmt: skip
    text = "".join(json.dumps(row.to_dict()) + "\n" for row in rows)
    (tmp_path / "results" / "f.jsonl").write_text(text, encoding="utf-8")
    written = benchmark_tables.rendered(page)
    assert "two workers of one core each, a place; costs: m." in written
    assert "| good | 3 of 3 | 1.00 | 100% | 5% | 5% | 5% |" in written
    assert "15 % or below: 1 of 2 programs; missed on bad 100%." in written
    assert "rank correlation of 0.9 or above: 2 of 2 programs.\n" in written
    assert benchmark_tables.rendered(written) == written


def test_the_table_about_a_policy_compares_it_with_the_best_of_the_others(monkeypatch, tmp_path):
    sys.path.insert(0, str(_SCRIPT.parent))
    import benchmark_tables
    from grappler_go_training.policy_results import Row

    page = "<!-- policy: p.jsonl -->\n<!-- end -->\nafter\n"
    (tmp_path / "results").mkdir()
    monkeypatch.setattr(benchmark_tables, "DOCS", tmp_path)
    assert benchmark_tables.rendered(page) == page
    found = {
        ("x", "policy"): 80.0, ("x", "metis"): 100.0, ("x", "heft"): 160.0,
        ("y", "policy"): 45.0, ("y", "metis"): None, ("y", "heft"): 50.0,
    }  # fmt: skip
    rows = [
        Row(
            case, "f", 7, "device", method, seed, 10, None, ms and 1e3 * ms, ms is None, 2e5,
            0.25, "", "go-7" if method == "policy" else "", "a machine",
        )
        for (case, method), ms in found.items()
        for seed in (0, 1)
    ]  # fmt: skip
    text = "".join(json.dumps(row.to_dict()) + "\n" for row in rows)
    (tmp_path / "results" / "p.jsonl").write_text(text, encoding="utf-8")
    written = benchmark_tables.rendered(page)
    assert "Policy: go-7; seeds 0, 1; 10 simulated plans for each; seconds on a machine." in written
    assert "| x | 200 | 80 (0.25) | 100 (0.25) | 160 (0.25) |" in written
    assert "| y | 200 | 45 (0.25) | OOM (0.25) | 50 (0.25) |" in written
    assert "| metis | 20.0% (20.0% to 20.0%) |" in written
    # The square root of 0.4 times 0.225.
    assert "| as TensorFlow places it | 70.0% (60.0% to 77.5%) |" in written
    # The square root of 0.5 times 0.9; of 0.8 times 0.9.
    assert "| heft | 32.9% (10.0% to 50.0%) |" in written
    assert "| the best of these | 15.1% (10.0% to 20.0%) |" in written
    assert benchmark_tables.rendered(written) == written


@pytest.mark.parametrize("page", _PAGES, ids=lambda path: path.name)
def test_links_to_files_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_stored_results_say_where_they_come_from():
    stored = sorted((_ROOT / "docs" / "results").glob("*.json"))
    assert stored
    for path in stored:
        where = json.loads(path.read_text(encoding="utf-8"))["environment"]
        assert where["command"].startswith("grappler-go "), path
        assert where["cores"] > 0, path


def test_every_stored_comparison_of_outputs_agrees():
    lines = (_ROOT / "docs" / "results" / "outputs.jsonl").read_text().splitlines()
    compared = [json.loads(line) for line in lines]
    assert all(one["equal"] for one in compared)
    assert sum(one["program"].endswith("-infer") for one in compared) >= 30
    assert sum(one["program"].endswith("-train") for one in compared) >= 30
