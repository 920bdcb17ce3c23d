"""The figures of docs/reliability.md."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.faults import report


def record(case: str, **figures: Any) -> dict[str, Any]:
    numbers = dict.fromkeys(
        ("seed", "cases", "runs", "kills", "succeeded", "lost", "doubled", "dropped_bytes"), 1
    )
    return {"case": case, **numbers, "seconds": 2.5, "violations": 0, **figures}


def test_the_newest_line_of_a_case_counts() -> None:
    lines = [json.dumps(record(*one)) for one in (["a"], ["b"])]
    lines.append(json.dumps(record("a", runs=7)))
    assert [(one["case"], one["runs"]) for one in report.newest(lines)] == [("a", 7), ("b", 1)]


def test_the_last_row_sums_up() -> None:
    table = report.table([record("a", runs=1_200), record("b", lost=4)])
    assert table.splitlines()[-1] == "| **all** | 2 | 1,201 | 2 | 2 | 5 | 2 | 2 | 5 |"


def test_no_table_is_made_of_broken_promises() -> None:
    with pytest.raises(ValueError, match="broken in: a"):
        report.table([record("a", violations=2), record("b")])


def test_the_page_keeps_what_stands_around_the_figures() -> None:
    page = report.PAGE.read_text()
    changed = report.rewritten(page, "| new |\n")
    assert "| new |" in changed
    assert changed.split(report.BEGIN)[0] == page.split(report.BEGIN)[0]
    assert changed.split(report.END)[1] == page.split(report.END)[1]


def test_the_page_shows_the_figures_that_are_kept() -> None:
    records = report.newest(report.FIGURES.read_text().splitlines())
    page = report.PAGE.read_text()
    assert report.rewritten(page, report.table(records)) == page
