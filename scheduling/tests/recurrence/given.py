"""Rules and instants in few words."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from scheduling import recurrence
from scheduling.recurrence import Rule, RuleError

BERLIN = "Europe/Berlin"
# Multiplies what the property tests try: `make thorough` tries a hundred times as much.
EFFORT = int(os.environ.get("DEPLOYX_TEST_EFFORT") or 1)
ANCHOR = datetime(2027, 1, 1, tzinfo=UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def rule(recurrence_type: Any, config: Any, zone: Any = "UTC", **more: Any) -> Rule:
    return recurrence.parse(recurrence_type, config, zone, **{"anchor": ANCHOR, **more})


def cron(expression: Any, zone: str = "UTC", **more: Any) -> Rule:
    return rule("custom", {"cron_expression": expression}, zone, **more)


def daily(time: str, zone: str = "UTC", **more: Any) -> Rule:
    return rule("daily", {"time": time}, zone, **more)


def errors(recurrence_type: Any, config: Any, zone: Any = "UTC", **more: Any) -> dict[str, Any]:
    """What is wrong with the rule; nothing where it is one."""
    try:
        rule(recurrence_type, config, zone, **more)
    except RuleError as error:
        return error.errors
    return {}


def runs(given: Rule, after: str, number: int) -> list[str]:
    """The next runs in UTC, as in "2027-03-28 01:00"."""
    return [f"{one.at:%Y-%m-%d %H:%M}" for one in given.next_runs(utc(after), number)]


def local_runs(given: Rule, after: str, number: int) -> list[str]:
    return [f"{one.local:%Y-%m-%d %H:%M}" for one in given.next_runs(utc(after), number)]


def enumerated(given: Rule, after: datetime, until: datetime) -> Sequence[datetime]:
    """The nominal times in (after, until], one by one."""
    found = []
    while (one := given.next_after(after)) is not None and one.at <= until:
        found.append(one.at)
        after = one.at
    return found
