"""Writes the tables of docs/ that list what the code has: baselines, advanced settings.

    python build_defs/reference_tables.py          # rewrites them
    python build_defs/reference_tables.py --check  # fails if they are not up to date

A table stands between `<!-- list: NAME -->` and `<!-- end -->`.
"""

import inspect
import pathlib
import re
import sys
from collections.abc import Callable, Iterable

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "python")]
PAGES = (ROOT / "docs" / "use.md", ROOT / "docs" / "baselines.md")
_LIST = re.compile(r"(<!-- list: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
# The end of a sentence: not within parentheses, not after "et al".
_SENTENCE_END = re.compile(r"(?<!\bal)\.(?=\s|$)")


def source_of(function: Callable[..., object]) -> str:
    """The sentence of a docstring that begins with "Source:", without that word.

    Raises:
      ValueError: there is none.
    """
    text = inspect.getdoc(function) or ""
    _, found, after = text.partition("Source: ")
    if not found:
        raise ValueError(f"{function.__name__}: no `Source:` in its docstring")
    # A path that was broken at a slash becomes one again.
    sentence = " ".join(after.split("\n\n")[0].split()).replace("/ ", "/")
    for end in _SENTENCE_END.finditer(sentence):
        before = sentence[: end.start()]
        if before.count("(") == before.count(")"):
            return before
    return sentence


def _baselines() -> Iterable[tuple[str, ...]]:
    from grappler_go_training.baselines import BASELINES

    yield "name", "decides", "what", "source"
    for one in BASELINES.values():
        yield f"`{one.name}`", one.decides, one.description, source_of(one.make)


def _advanced() -> Iterable[tuple[str, ...]]:
    from grappler_go import advanced

    yield "name", "type", "default", "range", "meaning"
    for name, option in advanced.OPTIONS.items():
        default = f"{option.default:g}" if option.type_name == "float" else str(option.default)
        yield f"`{name}`", option.type_name, f"`{default}`", option.range_text, option.meaning


_LISTS = {"baselines": _baselines, "advanced": _advanced}


def rendered(page: str) -> str:
    """The page with its tables as the code says."""
    return _LIST.sub(lambda found: found[1] + _table(_LISTS[found[2]]()) + found[3], page)


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    head, *body = rows
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ("---",) * len(head), *body))


def main(arguments: list[str]) -> int:
    """Rewrites, or with --check compares; 1 when a page is not up to date."""
    stale = 0
    for path in PAGES:
        page = path.read_text(encoding="utf-8")
        wanted = rendered(page)
        if arguments != ["--check"]:
            path.write_text(wanted, encoding="utf-8")
        elif page != wanted:
            print(f"{path} is not what the code says: python build_defs/reference_tables.py")
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
