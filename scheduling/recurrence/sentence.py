"""A rule in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import dateformat
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from scheduling.recurrence import cron, cron_sentence, words

_SHORTEST_MONTH = 28


def of(recurrence_type: str, config: Mapping[str, Any], zone: str) -> str:
    """In the language that is active; what follows the clock of a zone names the zone."""
    if recurrence_type == "interval":
        return _interval(config["every"], config["unit"])
    if recurrence_type == "once":
        return _once(config["run_at"], zone)
    if recurrence_type == "custom":
        text = cron_sentence.of(cron.parse(config["cron_expression"]))
        return _("%(rule)s, %(zone)s") % {"rule": text, "zone": zone}
    days = {"daily": _daily, "weekly": _weekly, "monthly": _monthly}[recurrence_type](config)
    text = _("%(days)s at %(time)s, %(zone)s")
    return text % {"days": days, "time": config["time"], "zone": zone}


def _once(run_at: str | None, zone: str) -> str:
    if run_at is None:
        return _("no time of its own")
    given = datetime.fromisoformat(run_at)
    local = given.astimezone(ZoneInfo(zone)) if given.tzinfo else given
    return _("once on %(date)s at %(time)s, %(zone)s") % {
        "date": dateformat.format(local, "j M Y"),
        "time": words.clock(local.hour, local.minute, local.second),
        "zone": zone,
    }


def _interval(every: int, unit: str) -> str:
    # A day of the clock may be longer or shorter than the 24 hours an interval means.
    texts = {
        "seconds": ngettext("every second", "every %s seconds", every),
        "minutes": ngettext("every minute", "every %s minutes", every),
        "hours": ngettext("every hour", "every %s hours", every),
        "days": ngettext("every 24 hours", "every %s days of 24 hours", every),
        "weeks": ngettext("every 7 days of 24 hours", "every %s weeks of 168 hours", every),
    }
    text = texts[unit]
    return text % every if "%s" in text else text


def _daily(config: Mapping[str, Any]) -> str:
    every = config["every"]
    return _("every day") if every == 1 else _("every %s days") % every


def _weekly(config: Mapping[str, Any]) -> str:
    every = config["every"]
    if every == 1:
        return words.every_weekday(config["days_of_week"])
    text = _("every %(every)s weeks %(days)s")
    return text % {"every": every, "days": words.on_weekdays(config["days_of_week"])}


def _monthly(config: Mapping[str, Any]) -> str:
    every = config["every"]
    if "nth" not in config:
        text = ngettext("every month on %(day)s", "every %(every)s months on %(day)s", every)
        return text % {"every": every, "day": _day(config["day_of_month"], config["missing_day"])}
    text = ngettext(
        "every %(nth)s %(weekday)s of the month",
        "every %(every)s months on the %(nth)s %(weekday)s",
        every,
    )
    nth, weekday = words.nth(config["nth"]), words.weekday(config["weekday"])
    return text % {"every": every, "nth": nth, "weekday": weekday}


def _day(day: int, missing: str) -> str:
    if day == -1:
        return _("the last day")
    if day <= _SHORTEST_MONTH:
        return _("day %s") % day
    if missing == "last":
        return _("day %s, or the last day,") % day
    return _("day %s, where there is one,") % day
