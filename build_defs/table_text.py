"""Tables in Markdown."""


def rows(head: list[str], lines: list[list[str]]) -> str:
    """A table whose first column is text and whose others are numbers."""
    cells = [head, ["---", *["---:"] * (len(head) - 1)], *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def figure(number: float) -> str:
    """Three digits, or all before the point."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
