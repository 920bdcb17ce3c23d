"""The same rule as Celery's crontab: judged by Celery's own arithmetic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery
from celery.schedules import crontab

from scheduling.recurrence import Rule
from scheduling.tests.recurrence.given import cron, daily, rule, utc

SAME = [
    daily("02:00"),
    daily("23:59"),
    rule("weekly", {"time": "02:30", "days_of_week": [0, 6]}),
    rule("monthly", {"time": "02:00", "day_of_month": 15}),
    rule("monthly", {"time": "02:00", "day_of_month": 31}),
    rule("monthly", {"time": "02:00", "day_of_month": 30, "every": 2}, anchor=utc("2027-02-01")),
    rule("monthly", {"time": "02:00", "day_of_month": 1, "every": 4}, anchor=utc("2027-03-01")),
    rule("monthly", {"time": "02:00", "day_of_month": 1, "every": 12}),
    cron("*/15 8-18 * * 1-5"),
    cron("7-59/13 */5 * * *"),
    cron("0 0 */3 * *"),
    cron("0 12 * * 0,3"),
    cron("0 12 * * sun"),
    cron("0 12 * * 5-7"),
    cron("30 6 1-7 1,4,7 *"),
    cron("0 0 */2 * 1"),
    cron("0 0 31 * *"),
    cron("@weekly"),
    cron("@yearly"),
]


@pytest.mark.parametrize("given", SAME, ids=lambda given: given.sentence())
def test_celery_runs_it_at_the_same_times_for_a_year(given: Rule) -> None:
    start = utc("2027-01-31 12:34")
    ours = [one.at for one in given.next_runs(start, 400) if one.at < start + timedelta(days=400)]
    assert len(ours) > 0
    assert _by_celery(given, start, len(ours)) == ours


def _by_celery(given: Rule, after: datetime, number: int) -> list[datetime]:
    fields = given.crontab()
    assert fields is not None
    app = Celery(set_as_current=False, changes={"timezone": "UTC"})
    minute, hour, day, month, weekday = fields
    found: list[datetime] = []
    schedule = crontab(
        minute=minute, hour=hour, day_of_month=day, month_of_year=month, day_of_week=weekday,
        app=app, nowfun=lambda: after,
    )  # fmt: skip
    while len(found) < number:
        last, delta, _now = schedule.remaining_delta(after)
        after = (last + delta).astimezone(UTC)
        found.append(after)
    return found


DIFFERENT = [
    cron("0 0 13 * 5"),
    cron("0 0 L * *"),
    cron("0 0 LW * *"),
    cron("0 0 * * 2#2"),
    cron("0 0 * * 5L"),
    rule("once", {"run_at": "2027-07-01T00:00"}),
    rule("once", {"run_at": None}),
    rule("interval", {"every": 1, "unit": "hours"}),
    daily("02:00:30"),
    rule("daily", {"time": "02:00", "every": 2}),
    rule("weekly", {"time": "02:00", "days_of_week": [0], "every": 2}),
    rule("monthly", {"time": "02:00", "day_of_month": -1}),
    rule("monthly", {"time": "02:00", "day_of_month": 31, "missing_day": "last"}),
    rule("monthly", {"time": "02:00", "day_of_month": 1, "every": 5}),
    rule("monthly", {"time": "02:00", "nth": 2, "weekday": 1}),
    daily("02:00", start_at=utc("2027-07-01")),
    daily("02:00", end_at=utc("2027-07-01")),
    daily("02:00", excluded_dates=["2027-07-01"]),
    daily("02:00", jitter_seconds=60),
]


@pytest.mark.parametrize("given", DIFFERENT, ids=lambda given: given.sentence())
def test_a_crontab_does_not_say_it_exactly(given: Rule) -> None:
    assert given.crontab() is None


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("*/15 8-18 * * 1-5", ("*/15", "8,9,10,11,12,13,14,15,16,17,18", "*", "*", "1,2,3,4,5")),
        ("0 */2 * * *", ("0", "*/2", "*", "*", "*")),
        ("59 23 31 12 7", None),
        ("59 23 31 12 *", ("59", "23", "31", "12", "*")),
    ],
)
def test_the_fields_of_the_crontab(config: str, expected: Any) -> None:
    assert cron(config).crontab() == expected


def test_the_months_are_counted_from_the_anchor_in_the_zone() -> None:
    # In Kiritimati February has begun.
    config = {"time": "02:00", "day_of_month": 1, "every": 6}
    given = rule("monthly", config, "Pacific/Kiritimati", anchor=utc("2027-01-31 12:00"))
    assert given.crontab() == ("0", "2", "1", "2,8", "*")


def test_the_longest_fields_fit_the_columns() -> None:
    minutes = ",".join(str(minute) for minute in range(60) if minute != 30)
    fields = cron("0-29,31-59 0-11,13-23 1-15,17-31 1-6,8-12 *").crontab()
    assert fields is not None
    assert fields[0] == minutes
    lengths = [len(field) for field in fields]
    assert all(length <= most for length, most in zip(lengths, (240, 96, 124, 64, 64), strict=True))
