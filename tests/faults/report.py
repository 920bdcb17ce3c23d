"""The table of docs/reliability.md, out of the figures that fault runs wrote down.

python -m tests.faults.report [RESULTS] writes it into the page; the newest line of a case counts.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.faults.checker import results_file
from tests.running import CHECKOUT

FIGURES = Path(__file__).with_name("figures.jsonl")
PAGE = CHECKOUT / "docs" / "reliability.md"
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"
_COLUMNS = {
    "case": "case",
    "cases": "times",
    "runs": "runs",
    "kills": "kills",
    "succeeded": "succeeded",
    "lost": "lost",
    "doubled": "doubled",
    "dropped_bytes": "output dropped, marked (bytes)",
    "seconds": "seconds",
}


def newest(lines: Iterable[str]) -> list[dict[str, Any]]:
    """One record a case, in the order the cases first came."""
    found: dict[str, dict[str, Any]] = {}
    for line in lines:
        record = json.loads(line)
        found[record["case"]] = record
    return list(found.values())


def table(records: list[dict[str, Any]]) -> str:
    """Markdown, with a last row that sums up. Raises ValueError where a promise was broken."""
    if bad := [record["case"] for record in records if record["violations"]]:
        raise ValueError(f"promises were broken in: {', '.join(bad)}")
    total = {"case": "**all**"} | {
        name: sum(record[name] for record in records) for name in _COLUMNS if name != "case"
    }
    lines = [_row(_COLUMNS), _row(dict.fromkeys(_COLUMNS, "--:") | {"case": "---"})]
    lines += [_row(record) for record in [*records, total]]
    return "".join(lines)


def _row(record: dict[str, Any]) -> str:
    cells = (record[name] for name in _COLUMNS)
    words = (f"{cell:,.0f}" if isinstance(cell, int | float) else cell for cell in cells)
    return f"| {' | '.join(words)} |\n"


def rewritten(page: str, figures: str) -> str:
    """The page with these figures between its marks."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{figures}\n{END}{rest.split(END)[1]}"


def main() -> None:
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else results_file()
    known = FIGURES.read_text().splitlines() if FIGURES.exists() else []
    records = newest([*known, *file.read_text().splitlines()])
    figures = table(records)
    FIGURES.write_text("".join(json.dumps(record) + "\n" for record in records))
    PAGE.write_text(rewritten(PAGE.read_text(), figures))


if __name__ == "__main__":
    main()
