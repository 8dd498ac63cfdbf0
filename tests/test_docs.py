"""What the documentation claims, against what is stored and what is there."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_SCRIPT = _ROOT / "build_defs" / "benchmark_tables.py"
_PAGES = [_ROOT / "README.md", _ROOT / "CONTRIBUTING.md", *sorted((_ROOT / "docs").glob("*.md"))]


def test_tables_are_what_the_stored_results_say():
    done = subprocess.run(
        [sys.executable, str(_SCRIPT), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_table_that_was_changed_by_hand_is_noticed(monkeypatch, tmp_path, capsys):
    sys.path.insert(0, str(_SCRIPT.parent))
    import benchmark_tables

    page = tmp_path / "page.md"
    text = (_ROOT / "README.md").read_text(encoding="utf-8")
    page.write_text(re.sub(r"\*\*\d\.\d\dx\*\*", "**9.99x**", text, count=1), encoding="utf-8")
    monkeypatch.setattr(benchmark_tables, "PAGES", (page,))
    assert benchmark_tables.main(["--check"]) == 1
    assert "is not what docs/results say" in capsys.readouterr().out
    assert benchmark_tables.main([]) == 0
    assert benchmark_tables.main(["--check"]) == 0
    assert "9.99x" not in page.read_text(encoding="utf-8")


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
