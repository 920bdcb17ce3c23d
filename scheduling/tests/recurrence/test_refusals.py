"""What is no rule, with the field and the reason."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from scheduling.tests.recurrence.given import BERLIN, cron, errors, rule, utc

NOW = utc("2027-06-01 12:00")
RUN_AT = "run_at: must be a date and time, as in 2027-01-31T02:00, or null."
UNIT = "unit: must be one of seconds, minutes, hours, days, weeks."
WHOLE = "must be a whole number from "
CONFIGS: list[tuple[str, Any, list[str]]] = [
    ("daily", {}, ["time: is required."]),
    ("daily", None, ["must be an object."]),
    ("daily", [], ["must be an object."]),
    ("daily", "02:00", ["must be an object."]),
    ("daily", {"time": "24:00"}, ["time: must be a time of day, as in 02:00."]),
    ("daily", {"time": "2:00"}, ["time: must be a time of day, as in 02:00."]),
    ("daily", {"time": "02:60"}, ["time: must be a time of day, as in 02:00."]),
    ("daily", {"time": "02:00\n"}, ["time: must be a time of day, as in 02:00."]),
    ("daily", {"time": "٠٢:٠٠"}, ["time: must be a time of day, as in 02:00."]),
    ("daily", {"time": 200}, ["time: must be a time of day, as in 02:00."]),
    ("daily", {"time": "02:00", "every": 0}, [f"every: {WHOLE}1 to 3650."]),
    ("daily", {"time": "02:00", "every": True}, [f"every: {WHOLE}1 to 3650."]),
    ("daily", {"time": "02:00", "every": 2.0}, [f"every: {WHOLE}1 to 3650."]),
    ("daily", {"time": "02:00", "every": None}, [f"every: {WHOLE}1 to 3650."]),
    ("daily", {"time": "02:00", "every": 10**400}, [f"every: {WHOLE}1 to 3650."]),
    ("daily", {"time": "02:00", "hour": 2}, ["hour: is not known here."]),
    ("daily", {"time": "02:00", "\x00\ud800": 2}, ["\\x00\\ud800: is not known here."]),
    ("weekly", {"time": "02:00"}, ["days_of_week: is required."]),
    (
        "weekly",
        {"time": "02:00", "days_of_week": []},
        ["days_of_week: must be a list of weekdays, 0 (Monday) to 6 (Sunday)."],
    ),
    ("weekly", {"time": "02:00", "days_of_week": [7]}, [f"days_of_week: {WHOLE}0 to 6."]),
    ("weekly", {"time": "02:00", "days_of_week": [True]}, [f"days_of_week: {WHOLE}0 to 6."]),
    ("weekly", {"time": "02:00", "days_of_week": [[]]}, [f"days_of_week: {WHOLE}0 to 6."]),
    ("monthly", {"time": "02:00"}, ["day_of_month: is required."]),
    ("monthly", {"time": "02:00", "nth": 2}, ["weekday: is required."]),
    ("monthly", {"time": "02:00", "weekday": 2}, ["nth: is required."]),
    (
        "monthly",
        {"time": "02:00", "nth": 5, "weekday": 1},
        ["nth: must be one of 1, 2, 3, 4, -1."],
    ),
    (
        "monthly",
        {"time": "02:00", "nth": 1, "weekday": 1, "day_of_month": 1},
        ["day_of_month: does not go together with nth, weekday."],
    ),
    (
        "monthly",
        {"time": "02:00", "day_of_month": 1, "missing_day": "first"},
        ["missing_day: must be one of skip, last."],
    ),
    ("interval", {"every": 9, "unit": "seconds"}, ["every: must be at least 10 seconds."]),
    (
        "interval",
        {"every": 11, "unit": "years"},
        [UNIT],
    ),
    ("interval", {"every": 600, "unit": "weeks"}, ["every: must be at most ten years."]),
    ("interval", {}, ["every: is required.", "unit: is required."]),
    ("once", {}, ["run_at: is required."]),
    ("once", {"run_at": ""}, [RUN_AT]),
    ("once", {"run_at": "2027-01-31"}, [RUN_AT]),
    ("once", {"run_at": "2027-02-30T02:00"}, ["run_at: there is no such date and time."]),
    ("once", {"run_at": "9999-12-31T23:59"}, ["run_at: is out of range."]),
    ("once", {"run_at": "0001-01-01T00:00+14:00"}, ["run_at: is out of range."]),
    ("once", {"run_at": "2027-01-31T02:00+25:00"}, ["run_at: there is no such date and time."]),
    ("once", {"run_at": "2027-W05-1T02:00"}, [RUN_AT]),
    ("once", {"run_at": 1_800_000_000}, [RUN_AT]),
    ("once", {"run_at": False}, [RUN_AT]),
    ("custom", {}, ["cron_expression: is required."]),
]


@pytest.mark.parametrize(("recurrence_type", "config", "messages"), CONFIGS)
def test_a_wrong_config_is_refused(recurrence_type: str, config: Any, messages: list[str]) -> None:
    assert errors(recurrence_type, config) == {"recurrence_config": messages}


FIELDS: list[tuple[str, Any, str]] = [
    ("zone", "Mars/Olympus", "time_zone"),
    ("zone", "europe/berlin", "time_zone"),
    ("zone", "Factory", "time_zone"),
    ("zone", "localtime", "time_zone"),
    ("zone", "../etc/passwd", "time_zone"),
    ("zone", "UTC\x00", "time_zone"),
    ("zone", "", "time_zone"),
    ("zone", None, "time_zone"),
    ("zone", ["UTC"], "time_zone"),
    ("start_at", utc("2027-01-01").replace(tzinfo=None), "start_at"),
    ("start_at", "2027-01-01T00:00Z", "start_at"),
    ("end_at", 5, "end_at"),
    ("end_at", datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))), "end_at"),
    ("end_at", date(2027, 1, 1), "end_at"),
    ("excluded_dates", "2027-01-01", "excluded_dates"),
    ("excluded_dates", ["2027-02-30"], "excluded_dates"),
    ("excluded_dates", ["20270101"], "excluded_dates"),
    ("excluded_dates", ["2027-W01-1"], "excluded_dates"),
    ("excluded_dates", [None], "excluded_dates"),
    ("excluded_dates", [datetime(2027, 1, 1, tzinfo=UTC)], "excluded_dates"),
    ("excluded_dates", ["2027-01-01"] * 367, "excluded_dates"),
    ("excluded_dates", None, "excluded_dates"),
]


@pytest.mark.parametrize(("name", "value", "field"), FIELDS)
def test_a_wrong_field_is_named(name: str, value: Any, field: str) -> None:
    found = errors("daily", {"time": "02:00"}, **{name: value})
    assert list(found) == [field]


@pytest.mark.parametrize("wrong", ["hourly", "", None, 5, ["daily"], {"daily": 1}])
def test_an_unknown_type_is_refused(wrong: Any) -> None:
    message = "must be one of once, interval, daily, weekly, monthly, custom."
    assert errors(wrong, {"time": "02:00"}) == {"recurrence_type": [message]}


def test_every_wrong_field_is_named_at_once() -> None:
    found = errors(
        "weekly",
        {"time": "noon", "days_of_week": "mon", "day": 1},
        "Nowhere",
        start_at=utc("2027-02-01"),
        end_at=utc("2027-01-01"),
        excluded_dates=["x"],
        jitter_seconds=-1,
    )
    names = ["end_at", "excluded_dates", "jitter_seconds", "recurrence_config", "time_zone"]
    assert sorted(found) == names
    assert len(found["recurrence_config"]) == 3


def test_an_end_before_the_start_is_refused() -> None:
    start, end = utc("2027-02-01"), utc("2027-01-31 23:59:59")
    found = errors("daily", {"time": "02:00"}, start_at=start, end_at=end)
    assert found == {"end_at": ["must not lie before the start."]}
    assert errors("daily", {"time": "02:00"}, start_at=start, end_at=start) == {}


@pytest.mark.parametrize(
    ("run_at", "zone"),
    [
        ("2027-06-01T12:00", "UTC"),
        ("2027-06-01T13:59", BERLIN),
        ("2027-06-01T14:00+02:00", "UTC"),
        ("2020-01-01T00:00", "UTC"),
    ],
)
def test_a_new_run_at_lies_in_the_future(run_at: str, zone: str) -> None:
    found = errors("once", {"run_at": run_at}, zone, now=NOW)
    assert found == {"recurrence_config": ["run_at: must lie in the future."]}


@pytest.mark.parametrize(
    ("run_at", "zone"),
    [("2027-06-01T12:01", "UTC"), ("2027-06-01T14:01", BERLIN), (None, "UTC")],
)
def test_a_run_at_ahead_is_taken(run_at: str | None, zone: str) -> None:
    assert errors("once", {"run_at": run_at}, zone, now=NOW) == {}


def test_a_stored_run_at_may_lie_in_the_past() -> None:
    assert rule("once", {"run_at": "2027-05-01T12:00"}).next_after(NOW) is None


NEVER = {"time": "02:00", "day_of_month": 30, "every": 12}


def test_a_new_rule_that_never_runs_is_refused() -> None:
    found = errors("monthly", NEVER, anchor=utc("2027-02-10"), now=NOW)
    assert found == {"recurrence_config": ["This rule never runs."]}
    assert errors("monthly", NEVER, anchor=utc("2027-03-10"), now=NOW) == {}


def test_a_stored_rule_that_never_runs_has_no_runs() -> None:
    given = rule("monthly", NEVER, anchor=utc("2027-02-10"))
    assert given.next_after(NOW) is None
    assert given.latest_between(utc("1970-01-01"), NOW) is None


def test_a_leap_day_every_second_odd_year_never_runs() -> None:
    config = {"time": "02:00", "day_of_month": 29, "every": 24}
    assert errors("monthly", config, anchor=utc("2027-02-10"), now=NOW) != {}
    assert errors("monthly", config, anchor=utc("2028-02-10"), now=NOW) == {}


def test_bounds_without_a_run_are_no_reason_to_refuse() -> None:
    assert cron("0 0 1 1 *", end_at=utc("2027-07-01"), start_at=utc("2027-06-02"), now=NOW)
