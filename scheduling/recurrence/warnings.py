"""What a person may not have meant by a rule, in words."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from scheduling.recurrence import cron

if TYPE_CHECKING:
    from scheduling.recurrence.rule import Rule

_SHORTEST_MONTH = 28


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
    if rule.recurrence_type == "monthly":
        day = int(rule.config.get("day_of_month", 0))
        return day if day > _SHORTEST_MONTH and rule.config["missing_day"] == "skip" else None
    if rule.recurrence_type == "custom":
        expression = cron.parse(rule.config["cron_expression"])
        day = min(expression.days)
        return day if day > _SHORTEST_MONTH and not expression.either else None
    return None
