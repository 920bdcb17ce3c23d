"""What a person may not have meant by a rule, in words."""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from scheduling.recurrence import cron

if TYPE_CHECKING:
    from scheduling.recurrence.rule import Rule

_NO_LEAP_YEAR = 2027


def of(rule: Rule, now: datetime) -> list[str]:
    found = []
    if not rule.is_by_hand and rule.next_after(now) is None:
        found.append(_of_nothing_ahead(rule, now))
    if (day := _day_some_months_lack(rule)) is not None:
        found.append(_("Months without a day %s are skipped.") % day)
    return found


def _of_nothing_ahead(rule: Rule, now: datetime) -> str:
    first = datetime.min.replace(tzinfo=now.tzinfo)
    if rule.latest_between(first, now) is not None:
        return _("Every run of this rule lies in the past.")
    return _("Never runs within its start, its end and its excluded dates.")


def _day_some_months_lack(rule: Rule) -> int | None:
    """The day of the month by which the rule passes over some of its own months."""
    if rule.recurrence_type == "monthly" and rule.config.get("missing_day") == "skip":
        day, every = int(rule.config["day_of_month"]), int(rule.config["every"])
        first = rule.anchor.astimezone(rule.zone).month
        months = {(first - 1 + step) % 12 + 1 for step in range(0, 12 * every, every)}
    elif rule.recurrence_type == "custom":
        expression = cron.parse(rule.config["cron_expression"])
        if expression.either:
            return None
        day, months = min(expression.days), set(expression.months)
    else:
        return None
    return day if any(day > monthrange(_NO_LEAP_YEAR, month)[1] for month in months) else None
