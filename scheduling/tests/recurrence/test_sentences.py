"""Rules in words."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation

from scheduling.tests.recurrence.given import BERLIN, cron, rule

SENTENCES: list[tuple[str, dict[str, Any], str]] = [
    ("once", {"run_at": "2027-01-31T02:00"}, "once on 31 Jan 2027 at 02:00, Europe/Berlin"),
    ("once", {"run_at": "2027-07-01T02:00:05Z"}, "once on 1 Jul 2027 at 04:00:05, Europe/Berlin"),
    ("once", {"run_at": None}, "no time of its own"),
    ("interval", {"every": 15, "unit": "minutes"}, "every 15 minutes"),
    ("interval", {"every": 1, "unit": "hours"}, "every hour"),
    ("interval", {"every": 30, "unit": "seconds"}, "every 30 seconds"),
    ("interval", {"every": 1, "unit": "days"}, "every 24 hours"),
    ("interval", {"every": 2, "unit": "days"}, "every 2 days of 24 hours"),
    ("interval", {"every": 1, "unit": "weeks"}, "every 7 days of 24 hours"),
    ("daily", {"time": "02:00"}, "every day at 02:00, Europe/Berlin"),
    ("daily", {"time": "02:00", "every": 3}, "every 3 days at 02:00, Europe/Berlin"),
    (
        "weekly",
        {"time": "02:00", "days_of_week": [0, 4]},
        "every Monday and Friday at 02:00, Europe/Berlin",
    ),
    (
        "weekly",
        {"time": "02:00", "days_of_week": [0, 1, 2, 3, 4]},
        "every weekday at 02:00, Europe/Berlin",
    ),
    (
        "weekly",
        {"time": "02:00", "days_of_week": [0, 1, 2, 3, 4, 5, 6]},
        "every day at 02:00, Europe/Berlin",
    ),
    (
        "weekly",
        {"time": "02:00", "days_of_week": [0, 2, 4], "every": 2},
        "every 2 weeks on Monday, Wednesday and Friday at 02:00, Europe/Berlin",
    ),
    (
        "monthly",
        {"time": "02:00", "nth": 2, "weekday": 1},
        "every second Tuesday of the month at 02:00, Europe/Berlin",
    ),
    (
        "monthly",
        {"time": "02:00", "nth": -1, "weekday": 4, "every": 3},
        "every 3 months on the last Friday at 02:00, Europe/Berlin",
    ),
    (
        "monthly",
        {"time": "02:00", "day_of_month": 15},
        "every month on day 15 at 02:00, Europe/Berlin",
    ),
    (
        "monthly",
        {"time": "02:00", "day_of_month": -1},
        "every month on the last day at 02:00, Europe/Berlin",
    ),
    (
        "monthly",
        {"time": "02:00", "day_of_month": 31, "missing_day": "last"},
        "every month on day 31, or the last day, at 02:00, Europe/Berlin",
    ),
    (
        "monthly",
        {"time": "02:00", "day_of_month": 31, "every": 3},
        "every 3 months on day 31, where there is one, at 02:00, Europe/Berlin",
    ),
]


@pytest.mark.parametrize(("recurrence_type", "config", "sentence"), SENTENCES)
def test_a_rule_in_words(recurrence_type: str, config: dict[str, Any], sentence: str) -> None:
    assert rule(recurrence_type, config, BERLIN).sentence() == sentence


CRON = [
    ("*/15 8-18 * * 1-5", "every 15 minutes from 08:00 to 18:45 on weekdays"),
    ("* * * * *", "every minute"),
    ("* 3 * * *", "every minute from 03:00 to 03:59"),
    ("*/20 * * * *", "every 20 minutes"),
    ("@hourly", "every hour"),
    ("5 * * * *", "every hour at minute 5"),
    ("5,35 * * * *", "every hour at minutes 5 and 35"),
    ("0-10 * * * *", "every hour at minutes 0–10"),
    ("0 */2 * * *", "every 2 hours"),
    ("5 */2 * * *", "every 2 hours at minute 5"),
    ("0 9-17 * * 1-5", "every hour from 09:00 to 17:00 on weekdays"),
    ("*/10 3,5,9-11 * * *", "every 10 minutes in the hours 3, 5 and 9–11"),
    ("0 6,18 * * *", "every day at 06:00 and 18:00"),
    ("30 3 * * sun", "every Sunday at 03:30"),
    ("0 2 * * 1-5", "every weekday at 02:00"),
    ("0 2 * * 2#2", "every second Tuesday of the month at 02:00"),
    ("0 2 * * 5L", "every last Friday of the month at 02:00"),
    ("0 2 * * 2#5,1", "at 02:00 on Monday and on the fifth Tuesday of the month"),
    ("0 4 L * *", "at 04:00 on the last day of the month"),
    ("0 4 LW * *", "at 04:00 on the last weekday of the month"),
    ("0 4 1,15 * *", "at 04:00 on days 1 and 15"),
    ("0 0 13 * 5", "at 00:00 on day 13 or on Friday"),
    ("0 0 */10 * 1", "at 00:00 on days 1, 11, 21 and 31 if on Monday"),
    ("0 0 1-31 * 1", "every day at 00:00"),
    ("0 0 1 1 *", "at 00:00 on day 1 in January"),
    ("0 0 1-7 3-10 *", "at 00:00 on days 1–7 from March to October"),
    ("0 0 * 1,7 *", "every day at 00:00 in January and July"),
]


@pytest.mark.parametrize(("expression", "sentence"), CRON)
def test_a_cron_expression_in_words(expression: str, sentence: str) -> None:
    assert cron(expression, BERLIN).sentence() == f"{sentence}, Europe/Berlin"


def test_the_sentence_is_in_the_language_that_is_active() -> None:
    given = rule("weekly", {"time": "02:00", "days_of_week": [0]})
    with translation.override("de"):
        assert "Montag" in given.sentence()
    assert "Monday" in given.sentence()
