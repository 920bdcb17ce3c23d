"""From figures to shapes: pure, on a plane of 100 by 100 that the page stretches.

Numbers for the picture are texts already, so that no language writes them its own way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

PLANE = 100.0
GAP = 0.2  # of a column's width, left free between two


@dataclass(frozen=True, slots=True)
class Series:
    """One kind of figure in every column; `tone` is a state's colour."""

    label: str
    tone: str


@dataclass(frozen=True, slots=True)
class Column:
    """What one place on the axis stands for. `cells` are the words of its row in the table."""

    label: str
    cells: Sequence[str]
    href: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    tone: str
    y: str
    height: str


@dataclass(frozen=True, slots=True)
class Bar:
    title: str
    x: str
    width: str
    pieces: Sequence[Piece]


@dataclass(frozen=True, slots=True)
class Dot:
    title: str
    tone: str
    x: str
    y: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture and its table. `id` is unique on its page; `top` names the axis's upper end."""

    id: str
    title: str
    summary: str
    top: str
    columns: Sequence[Column]
    head: Sequence[str]
    keys: Sequence[Series] = ()
    bars: Sequence[Bar] = ()
    dots: Sequence[Dot] = ()
    line: str = ""

    @property
    def first(self) -> str:
        return self.columns[0].label if self.columns else ""

    @property
    def last(self) -> str:
        return self.columns[-1].label if len(self.columns) > 1 else ""


def round_top(largest: float) -> float:
    """The axis's end: the smallest of 1, 2, 5, 10, 20, 50, … that `largest` fits under."""
    if largest <= 1:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(largest))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= largest)


def stacked(
    columns: Sequence[Column],
    series: Sequence[Series],
    values: Sequence[Sequence[float]],
    top: float,
) -> list[Bar]:
    """A bar for each column, from below upwards in the order of `series`."""
    width = PLANE / max(len(columns), 1)
    bars = []
    for number, (column, heights) in enumerate(zip(columns, values, strict=True)):
        left = number * width + width * GAP / 2
        pieces = _pieces(series, heights, top)
        bars.append(Bar(_title(column), _text(left), _text(width * (1 - GAP)), pieces))
    return bars


def dotted(
    columns: Sequence[Column], tones: Sequence[str], values: Sequence[float], top: float
) -> tuple[list[Dot], str]:
    """A dot for each column, and the path that joins them."""
    width = PLANE / max(len(columns), 1)
    dots = [
        Dot(_title(column), tone, _text((number + 0.5) * width), _text(PLANE - PLANE * value / top))
        for number, (column, tone, value) in enumerate(zip(columns, tones, values, strict=True))
    ]
    joined = " L".join(f"{dot.x} {dot.y}" for dot in dots)
    return dots, f"M{joined}" if dots else ""


def _pieces(series: Sequence[Series], heights: Sequence[float], top: float) -> list[Piece]:
    pieces = []
    filled = 0.0
    for one, value in zip(series, heights, strict=True):
        height = PLANE * value / top
        if height:
            pieces.append(Piece(one.tone, _text(PLANE - filled - height), _text(height)))
        filled += height
    return pieces


def _title(column: Column) -> str:
    return ": ".join((column.label, ", ".join(column.cells)))


def _text(number: float) -> str:
    return f"{number:.2f}"
