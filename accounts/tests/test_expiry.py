from __future__ import annotations

from datetime import UTC, datetime

import pytest

from accounts.expiry import parse_expiry

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", datetime(2026, 11, 24, 12, 1, 30, tzinfo=UTC)),
        ("45m", datetime(2026, 11, 24, 12, 45, tzinfo=UTC)),
        ("24h", datetime(2026, 11, 25, 12, 0, tzinfo=UTC)),
        ("30 d", datetime(2026, 12, 24, 12, 0, tzinfo=UTC)),
        ("2w", datetime(2026, 12, 8, 12, 0, tzinfo=UTC)),
        ("2027-01-01", datetime(2027, 1, 1, tzinfo=UTC)),
        ("2027-01-01T02:00+02:00", datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)
def test_spans_and_dates_are_understood(text: str, expected: datetime) -> None:
    assert parse_expiry(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "soon", "24", "-1h", "1y", "2027-13-01", "h", "999999w"])
def test_anything_else_is_refused_by_its_text(text: str) -> None:
    with pytest.raises(ValueError, match=f"“{text}” is neither"):
        parse_expiry(text, NOW)


@pytest.mark.parametrize("text", ["0h", "2026-11-24", "2020-01-01"])
def test_the_past_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="lies in the past"):
        parse_expiry(text, NOW)
