from __future__ import annotations

from accounts.columns import aligned


def test_columns_line_up_and_an_empty_cell_keeps_its_place() -> None:
    rows = [("ID", "NAME"), ("17", ""), ("4", "backup")]
    assert aligned(rows) == "ID  NAME\n17  -\n4   backup"
