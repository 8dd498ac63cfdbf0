"""Results as JSON lines in a file that grows, so that what is there is not done again."""

import json
import pathlib
from typing import Any

from grappler_go.cli import common


def read(path: str, row_type: Any, command: str) -> dict[Any, Any]:
    """Rows by their key; none where there is no file.

    Args:
      row_type: a dataclass of the lines' fields, with a property `key`.
      command: that writes such files, for the message.

    Raises:
      UsageError: a line is not such a row.
    """
    file = pathlib.Path(path)
    found = {}
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    for number, line in enumerate(lines, 1):
        try:
            row = row_type(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise common.UsageError(
                f"{path}, line {number}: not a result of {command} ({error}); remove the line, "
                "or name another file"
            ) from error
        found[row.key] = row
    return found


def append(path: str, values: dict[str, Any]) -> None:
    """Adds a row."""
    file = pathlib.Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(values) + "\n")
