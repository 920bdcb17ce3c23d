"""Checks of single values: what they clean, and what they refuse in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from accounts import fields

ID = "01a20fd9-e4fd-7456-ae63-fef3ff4a090f"


@pytest.mark.parametrize(
    ("check", "value", "clean"),
    [
        (fields.text(5), "  five ", "five"),
        (fields.text(9), "two\nlines", "two\nlines"),
        (fields.whole_number(1, 3), 3, 3),
        (fields.whole_number(1, 3, optional=True), None, None),
        (fields.one_of(["a", "b"]), "b", "b"),
        (fields.instant, None, None),
        (fields.instant, "2027-01-01T01:00+01:00", datetime(2027, 1, 1, tzinfo=UTC)),
        (fields.identifiers(2), [ID.upper(), UUID(ID)], [ID]),
        (fields.tags, ["b", "a ", "b"], ["b", "a"]),
    ],
)
def test_what_is_accepted_is_clean(check: fields.Check, value: object, clean: object) -> None:
    assert check(value) == clean


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (fields.text(5), "sixsix"),
        (fields.text(5), 5),
        (fields.text(5), "a\0b"),
        (fields.text(5, shortest=1), "  "),
        (fields.text(9, one_line=True), "two\nlines"),
        (fields.text(9, one_line=True), "web\u202e1"),
        (fields.text(9, one_line=True), "web\u20281"),
        (fields.whole_number(1, 3), 4),
        (fields.whole_number(1, 3), True),
        (fields.whole_number(1, 3), 2.0),
        (fields.whole_number(1, 3), None),
        (fields.one_of(["a", "b"]), "c"),
        (fields.one_of(["a", "b"]), ["a"]),
        (fields.instant, "2027-01-01T01:00"),
        (fields.instant, "2027-13-01T01:00Z"),
        (fields.instant, "0001-01-01T00:00+14:00"),
        (fields.instant, 7),
        (fields.identifiers(1), ID),
        (fields.identifiers(1), ["web-1"]),
        (fields.identifiers(0), [ID]),
        (fields.tags, "a"),
        (fields.tags, [""]),
        (fields.plain_list, {"a": 1}),
    ],
)
def test_anything_else_is_refused_in_words(check: fields.Check, value: object) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        check(value)


def test_every_wrong_and_every_unknown_name_is_noted() -> None:
    checks: dict[str, fields.Check] = {"name": fields.text(5), "number": fields.whole_number(1, 3)}
    errors: fields.Errors = {}
    given: dict[str, Any] = {"name": "web", "number": 7, "colour": "red", "x" * 200: 1}
    assert fields.checked(checks, given, errors) == {"name": "web"}
    assert set(errors) == {"number", "colour", "x" * 100}
