"""Start, end and excluded dates."""

from __future__ import annotations

from datetime import date

import pytest

from scheduling.recurrence import Rule
from scheduling.tests.recurrence.given import (
    BERLIN,
    cron,
    daily,
    enumerated,
    local_runs,
    rule,
    runs,
    utc,
)


def test_start_and_end_count_in() -> None:
    given = daily("02:00", start_at=utc("2027-01-03 02:00"), end_at=utc("2027-01-05 02:00"))
    expected = ["2027-01-03 02:00", "2027-01-04 02:00", "2027-01-05 02:00"]
    assert runs(given, "2026-01-01", 9) == expected
    assert given.count_between(utc("2026-01-01"), utc("2029-01-01")) == 3


def test_start_and_end_count_in_backwards_as_well() -> None:
    given = daily("02:00", start_at=utc("2027-01-03 02:00"), end_at=utc("2027-01-05 02:00"))
    latest = given.latest_between(utc("2026-01-01"), utc("2029-01-01"))
    first = given.latest_between(utc("2026-01-01"), utc("2027-01-03 02:00"))
    assert (latest and latest.at) == utc("2027-01-05 02:00")
    assert (first and first.at) == utc("2027-01-03 02:00")


def test_an_instant_past_the_end_is_out() -> None:
    given = daily(
        "02:00", start_at=utc("2027-01-03 02:00:00.000001"), end_at=utc("2027-01-05 01:59:59")
    )
    assert runs(given, "2026-01-01", 9) == ["2027-01-04 02:00"]
    assert given.count_between(utc("2026-01-01"), utc("2029-01-01")) == 1


def test_backwards_heeds_start_and_end() -> None:
    given = daily("02:00", start_at=utc("2027-01-03"), end_at=utc("2027-01-05"))
    latest = given.latest_between(utc("2026-01-01"), utc("2029-01-01"))
    assert latest is not None
    assert latest.at == utc("2027-01-04 02:00")
    assert given.latest_between(utc("2026-01-01"), utc("2027-01-03 01:00")) is None
    assert given.latest_between(utc("2027-01-04 02:00"), utc("2029-01-01")) is None


def test_nothing_runs_on_an_excluded_date() -> None:
    given = daily("02:00", excluded_dates=["2027-01-02", date(2027, 1, 3), "2027-01-02"])
    assert runs(given, "2027-01-01", 3) == [
        "2027-01-01 02:00",
        "2027-01-04 02:00",
        "2027-01-05 02:00",
    ]


def test_the_last_second_before_an_excluded_date_and_the_first_after_it_are_in() -> None:
    after, until = utc("2027-01-02 12:00"), utc("2027-01-04 00:00")
    late = daily("23:59:59", excluded_dates=["2027-01-03"]).latest_between(after, until)
    early = daily("00:00", excluded_dates=["2027-01-03"]).next_after(after)
    assert (late and late.at) == utc("2027-01-02 23:59:59")
    assert (early and early.at) == until


def test_dates_are_those_of_the_zone() -> None:
    # At half past midnight in Berlin it is still the day before in UTC.
    given = daily("00:30", BERLIN, excluded_dates=["2027-07-02"])
    assert local_runs(given, "2027-06-30 12:00", 2) == ["2027-07-01 00:30", "2027-07-03 00:30"]


def test_an_interval_passes_over_the_excluded_day_of_the_zone() -> None:
    given = rule(
        "interval",
        {"every": 1, "unit": "hours"},
        "America/New_York",
        start_at=utc("2027-11-01"),
        excluded_dates=["2027-11-07"],
    )
    # That day has 25 hours.
    found = enumerated(given, utc("2027-11-07 02:00"), utc("2027-11-08 06:00"))
    assert [f"{at:%d %H}" for at in found] == ["07 03", "08 05", "08 06"]
    assert given.count_between(utc("2027-11-07 02:00"), utc("2027-11-08 06:00")) == 3


def test_a_run_moved_by_a_skipped_day_is_of_the_day_on_which_it_runs() -> None:
    skipped = cron("0 12 * * *", "Pacific/Apia", excluded_dates=["2011-12-31"])
    assert local_runs(skipped, "2011-12-29 12:00", 2) == ["2011-12-29 12:00", "2012-01-01 12:00"]
    gone = cron("0 12 * * *", "Pacific/Apia", excluded_dates=["2011-12-30"])
    assert local_runs(gone, "2011-12-29 23:00", 1) == ["2011-12-31 00:00"]


def test_a_date_that_is_interrupted_by_the_next_is_excluded_in_both_parts() -> None:
    # At 00:01 on the 28th the clock goes back to 23:01 on the 27th.
    given = cron("*/30 * * * *", "America/St_Johns", excluded_dates=["1990-10-27"])
    found = enumerated(given, utc("1990-10-27 02:00"), utc("1990-10-28 04:00"))
    assert [f"{at:%d %H:%M}" for at in found] == ["28 02:30", "28 03:30", "28 04:00"]


ALL_EXCLUDED = [f"2027-01-{day:02}" for day in range(1, 32)]


@pytest.mark.parametrize(
    "given",
    [
        cron("0 2 * 1 *", excluded_dates=ALL_EXCLUDED),
        rule("interval", {"every": 10, "unit": "seconds"}, excluded_dates=ALL_EXCLUDED),
    ],
)
def test_a_month_of_excluded_dates_is_passed_over(given: Rule) -> None:
    assert given.count_between(utc("2027-01-01"), utc("2027-01-31 23:59:59")) == 0
    following = given.next_after(utc("2027-01-01"))
    assert following is not None
    assert following.at >= utc("2027-02-01")
    assert given.latest_between(utc("2027-01-01"), utc("2027-01-31")) is None


def test_with_excluded_dates_counting_is_enumerating() -> None:
    given = cron("*/20 * * * *", BERLIN, excluded_dates=["2027-03-28", "2027-03-30", "2027-03-31"])
    start, end = utc("2027-03-26 10:10"), utc("2027-04-02 10:10")
    assert given.count_between(start, end) == len(enumerated(given, start, end))


@pytest.mark.parametrize("edge", ["0001-01-01 00:00", "9999-12-31 23:59:59.999999"])
@pytest.mark.parametrize(
    "given",
    [
        daily("02:30", BERLIN),
        cron("0 0 29 2 *", "Pacific/Kiritimati"),
        rule("interval", {"every": 10, "unit": "seconds"}),
        rule("interval", {"every": 10, "unit": "hours"}, start_at=utc("0001-01-01")),
        rule("once", {"run_at": "2027-01-01T00:00"}),
        daily("00:00", "Pacific/Apia", start_at=utc("0001-01-01"), end_at=utc("9999-12-31")),
    ],
)
def test_the_ends_of_time_do_not_overflow(given: Rule, edge: str) -> None:
    first, last = utc("0001-01-01"), utc("9999-12-31 23:59:59.999999")
    given.next_runs(utc(edge), 3)
    assert given.next_after(first) is not None
    assert given.next_after(last) is None
    assert given.latest_between(first, first) is None
    latest = given.latest_between(first, last)
    assert latest is not None
    assert given.next_after(latest.at) is None
