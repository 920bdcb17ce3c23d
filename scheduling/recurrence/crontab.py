"""A rule as Celery's crontab, for the schedulers that know nothing better."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from scheduling.recurrence import cron

Crontab = tuple[str, str, str, str, str]


def of(recurrence_type: str, config: Mapping[str, Any], anchored: date) -> Crontab | None:
    """Minute, hour, day of month, month and day of week (0: Sunday), or None where a crontab would
    say something else."""
    if recurrence_type == "custom":
        return _custom(cron.parse(config["cron_expression"]))
    if recurrence_type not in ("daily", "weekly", "monthly") or config["time"].count(":") > 1:
        return None
    hour, minute = (str(int(part)) for part in config["time"].split(":"))
    every = config["every"]
    if recurrence_type == "monthly":
        return _monthly(minute, hour, config, anchored)
    if every > 1:
        return None
    if recurrence_type == "daily":
        return minute, hour, "*", "*", "*"
    weekdays = {(day + 1) % 7 for day in config["days_of_week"]}
    return minute, hour, "*", "*", _listed(weekdays, range(7))


def _monthly(minute: str, hour: str, config: Mapping[str, Any], anchored: date) -> Crontab | None:
    day, every = config.get("day_of_month", -1), config["every"]
    if day == -1 or (day > 28 and config["missing_day"] == "last") or 12 % every:
        return None
    months = {(anchored.month - 1 + step) % 12 + 1 for step in range(0, 12, every)}
    return minute, hour, str(day), _listed(months, range(1, 13)), "*"


def _custom(expression: cron.Cron) -> Crontab | None:
    """Celery wants day of month and day of week both to fit, and knows neither L nor #."""
    weekdays = {day for day in expression.weekdays if isinstance(day, int)}
    if expression.either or min(expression.days) < 1 or len(weekdays) < len(expression.weekdays):
        return None
    return (
        _listed(expression.minutes, range(60)),
        _listed(expression.hours, range(24)),
        _listed(expression.days, range(1, 32)),
        _listed(expression.months, range(1, 13)),
        _listed(weekdays, range(7)),
    )


def _listed(wanted: Iterable[int], every: range) -> str:
    numbers = sorted(wanted)
    if numbers == list(every):
        return "*"
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 0
    if step > 1 and every.start == 0 and numbers == list(every[::step]):
        return f"*/{step}"
    return ",".join(map(str, numbers))
