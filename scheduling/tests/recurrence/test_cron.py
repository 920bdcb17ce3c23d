"""Cron expressions: their standard meaning."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from cronsim import CronSim

from scheduling.tests.recurrence.given import cron, enumerated, errors, runs, utc

CASES = [
    ("0 2 * * 0", ["01-03", "01-10"]),
    ("0 2 * * 7", ["01-03", "01-10"]),
    ("0 2 * * sun", ["01-03", "01-10"]),
    ("0 2 * * 5-7", ["01-01", "01-02", "01-03", "01-08"]),
    ("0 2 * FEB-MAR 1", ["02-01", "02-08"]),
    ("0 2 1,31 * *", ["01-01", "01-31", "02-01", "03-01"]),
    ("0 2 */10 * *", ["01-01", "01-11", "01-21", "01-31", "02-01"]),
    ("0 2 L * *", ["01-31", "02-28", "03-31"]),
    ("0 2 LW * *", ["01-29", "02-26", "03-31"]),
    ("0 2 * * 2#2", ["01-12", "02-09"]),
    ("0 2 * * 5L", ["01-29", "02-26"]),
    ("0 2 * * fri#5", ["01-29", "04-30"]),
    # Both given: either of them.
    ("0 2 13 * 5", ["01-01", "01-08", "01-13", "01-15"]),
    # With a star in front of a step: both of them.
    ("0 2 */2 * 5", ["01-01", "01-15", "01-29", "02-05"]),
]


@pytest.mark.parametrize(("expression", "days"), CASES)
def test_it_runs_on_these_days(expression: str, days: list[str]) -> None:
    found = runs(cron(expression), "2026-12-31 23:00", len(days))
    assert [one[5:] for one in found] == [f"{day} 02:00" for day in days]


@pytest.mark.parametrize(
    ("macro", "expected"),
    [
        ("@hourly", "2027-06-15 13:00"),
        ("@daily", "2027-06-16 00:00"),
        ("@midnight", "2027-06-16 00:00"),
        ("@weekly", "2027-06-20 00:00"),
        ("@monthly", "2027-07-01 00:00"),
        ("@yearly", "2028-01-01 00:00"),
        ("@annually", "2028-01-01 00:00"),
    ],
)
def test_macros(macro: str, expected: str) -> None:
    assert runs(cron(macro), "2027-06-15 12:34", 1) == [expected]


EXPRESSIONS = [
    "*/15 8-18 * * 1-5",
    "5-50/9 */5 * * *",
    "0 0 29 2 *",
    "0 12 L * *",
    "30 6 * * 3#3",
    "17 3 1-7 * 1",
    "0 0 */3 */2 2",
    "3/7 1/5 10/6 2/3 *",
    "0 22 15,LW * *",
    "0 0 * * 1#1,5L,0",
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
@pytest.mark.parametrize("start", ["2027-01-31 12:00", "2099-12-30 05:00"])
def test_it_agrees_with_cronsim(expression: str, start: str) -> None:
    given, theirs = cron(expression), CronSim(expression, utc(start))
    ours = [one.at for one in given.next_runs(utc(start), 100)]
    assert ours == [next(theirs) for _ in ours]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_it_agrees_with_cronsim_in_a_zone_all_year(expression: str) -> None:
    zone, start = "Europe/Berlin", utc("2027-01-01 12:00")
    given = cron(expression, zone)
    until, after = start + timedelta(days=365), start
    theirs: list[datetime] = []
    sim = CronSim(expression, start.astimezone(given.zone))
    while (after := next(sim)) <= until:
        theirs.append(after)
    assert enumerated(given, start, until) == theirs


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("0 0 31 2 *", "never runs: no such month has such a day."),
        ("0 0 30 feb *", "never runs: no such month has such a day."),
        ("0 0 31 4,6,9,11 *", "never runs: no such month has such a day."),
        ("* * * * * *", "must have five fields: cron runs once a minute at most, without seconds."),
        ("0 0 * *", "must have five fields: minute, hour, day of month, month, day of week."),
        ("", "must have five fields: minute, hour, day of month, month, day of week."),
        ("60 * * * *", "the minute is not valid."),
        ("*/0 * * * *", "the minute is not valid."),
        ("5-1 * * * *", "the minute is not valid."),
        ("* 24 * * *", "the hour is not valid."),
        ("* * 0 * *", "the day of the month is not valid."),
        ("* * 15W * *", "the day of the month is not valid."),
        ("* * * 13 *", "the month is not valid."),
        ("* * * * 8", "the day of the week is not valid."),
        ("* * * * 1#6", "the day of the week is not valid."),
        ("* * * * ?", "may have digits, names and * , - / # L in its fields only."),
        ("* * * * ¹", "may have digits, names and * , - / # L in its fields only."),
        ("0 0 * * *\x00", "may have digits, names and * , - / # L in its fields only."),
        (
            "@reboot",
            "must be one of @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly, "
            "or have five fields.",
        ),
        ("0," * 150 + "0 0 * * *", "must have at most 200 characters."),
        (5, "must be text."),
        (None, "must be text."),
    ],
)
def test_it_says_what_is_wrong(expression: object, complaint: str) -> None:
    found = errors("custom", {"cron_expression": expression})
    assert found == {"recurrence_config": [f"cron_expression: {complaint}"]}


def test_a_rule_that_fires_once_in_forty_years_is_found() -> None:
    # The 29th of February on a Sunday: 2088, and as 2100 is no leap year, then 2128.
    given = cron("0 0 29 2 */7")
    assert runs(given, "2061-01-01", 2) == ["2088-02-29 00:00", "2128-02-29 00:00"]
    latest = given.latest_between(utc("2061-01-01"), utc("2128-01-01"))
    assert latest is not None
    assert latest.at == utc("2088-02-29")
