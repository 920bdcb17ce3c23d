"""What a person may not have meant."""

from __future__ import annotations

from typing import Any

import pytest

from scheduling.recurrence import Rule
from scheduling.tests.recurrence.given import cron, daily, rule, utc

NOW = utc("2027-06-01 12:00")
PAST = "Every run of this rule lies in the past."
NEVER = "Never runs within its start, its end and its excluded dates."


def _monthly(**config: Any) -> Rule:
    return rule("monthly", {"time": "02:00", **config})


CASES = [
    (daily("02:00"), []),
    (rule("once", {"run_at": None}), []),
    (rule("once", {"run_at": "2027-07-01T00:00"}), []),
    (rule("once", {"run_at": "2027-05-01T00:00"}), [PAST]),
    (daily("02:00", end_at=utc("2027-05-01")), [PAST]),
    (daily("02:00", start_at=utc("2027-07-01"), end_at=utc("2027-07-01 01:00")), [NEVER]),
    (rule("once", {"run_at": "2027-07-01T00:00"}, excluded_dates=["2027-07-01"]), [NEVER]),
    (_monthly(day_of_month=31), ["Months without a day 31 are skipped."]),
    (_monthly(day_of_month=29), ["Months without a day 29 are skipped."]),
    (_monthly(day_of_month=28), []),
    (_monthly(day_of_month=31, missing_day="last"), []),
    (_monthly(day_of_month=31, every=12), []),
    (_monthly(day_of_month=31, every=3), ["Months without a day 31 are skipped."]),
    (_monthly(day_of_month=-1), []),
    (_monthly(nth=-1, weekday=0), []),
    (cron("0 0 30 * *"), ["Months without a day 30 are skipped."]),
    (cron("0 0 29 2 *"), ["Months without a day 29 are skipped."]),
    (cron("0 0 31 1,3 *"), []),
    (cron("0 0 31 * 1"), []),
    (cron("0 0 1,31 * *"), []),
]


@pytest.mark.parametrize(("given", "warnings"), CASES)
def test_it_warns_of(given: Rule, warnings: list[str]) -> None:
    assert given.warnings(NOW) == warnings
