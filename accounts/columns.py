"""Tables of commands, for eyes and for `awk`: aligned columns, one line a row, nothing cut off."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """The rows, the first of them the heading; all have the same number of cells."""
    shown = [[cell or "-" for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in shown)
    return "\n".join(lines)
