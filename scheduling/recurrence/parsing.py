"""From the fields of a task to its rule."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from scheduling import zones
from scheduling.recurrence import checks, cron, days
from scheduling.recurrence import config as configs
from scheduling.recurrence.errors import Found
from scheduling.recurrence.instants import DAY, SECOND, day_of, micros, moment, within_range
from scheduling.recurrence.rule import Bounds, Jitter, Rule
from scheduling.recurrence.series import Elapsed, Moments, OnTheWall, Series

MOST_EXCLUDED = 366
MOST_JITTER = 7 * DAY
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def parse(
    recurrence_type: object,
    recurrence_config: object,
    time_zone: object,
    *,
    anchor: datetime,
    start_at: object = None,
    end_at: object = None,
    excluded_dates: object = (),
    jitter_seconds: object = 0,
    jitter_key: str = "",
    now: datetime | None = None,
) -> Rule:
    """The rule in these checks. Raises RuleError naming every field that is wrong.

    Every N days, weeks or months are counted from `anchor`, and so is an interval where it has no
    `start_at`. `now` is given for a rule that is new: it has to have something ahead of it.
    """
    found = Found()
    type_ = found.attempt("recurrence_type", checks.one_of(configs.TYPES), recurrence_type)
    zone = found.attempt("time_zone", _zone, time_zone)
    start = found.attempt("start_at", checks.instant, start_at)
    end = found.attempt("end_at", checks.instant, end_at)
    excluded = found.attempt("excluded_dates", _dates, excluded_dates)
    jitter = found.attempt("jitter_seconds", checks.whole_number(0, MOST_JITTER), jitter_seconds)
    if start is not None and end is not None and end < start:
        found.add("end_at", _("must not lie before the start."))
    config = None
    if type_ is not None:
        config = found.attempt(
            "recurrence_config", lambda given: configs.read(type_, given), recurrence_config
        )
    found.raise_if_any()
    assert type_ is not None
    assert config is not None
    assert zone is not None
    rule = Rule(
        recurrence_type=type_,
        config=config,
        zone=zone,
        anchor=moment(within_range(micros(anchor))),
        series=_series(type_, config, zone, anchor, start),
        bounds=Bounds.of(start, end, zone, excluded or ()),
        jitter=Jitter(jitter or 0, jitter_key),
    )
    _check(rule, now, found)
    found.raise_if_any()
    return rule


def _check(rule: Rule, now: datetime | None, found: Found) -> None:
    if now is not None:
        _check_future(rule, now, found)
    if not rule.jitter.seconds:
        return
    gap = rule.series.shortest_gap(within_range(micros(now or rule.anchor)))
    if gap is not None and rule.jitter.seconds * SECOND >= gap:
        message = _("must be less than the shortest time between two runs, %s seconds.")
        found.add("jitter_seconds", message % (gap // SECOND))


def _check_future(rule: Rule, now: datetime, found: Found) -> None:
    if rule.recurrence_type == "once":
        if not rule.is_by_hand and rule.series.next(micros(now)) is None:
            found.add("recurrence_config", _("run_at: must lie in the future."))
    elif rule.series.next(within_range(micros(min(now, rule.anchor)))) is None:
        found.add("recurrence_config", _("This rule never runs."))


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(zones.names())


def _zone(name: object) -> ZoneInfo:
    if not isinstance(name, str) or name not in _zone_names():
        raise ValueError(_("must be the name of a time zone, as in Europe/Berlin."))
    return ZoneInfo(name)


def _dates(given: object) -> tuple[date, ...]:
    if not isinstance(given, list | tuple):
        raise ValueError(_("must be a list of dates."))
    if len(given) > MOST_EXCLUDED:
        raise ValueError(_("must have at most %s entries.") % MOST_EXCLUDED)
    return tuple(sorted({_date(one) for one in given}))


def _date(given: object) -> date:
    if isinstance(given, date) and not isinstance(given, datetime):
        return given
    try:
        if isinstance(given, str) and _DATE.fullmatch(given):
            return date.fromisoformat(given)
    except ValueError:
        pass
    raise ValueError(_("each entry must be a date, as in 2027-01-31."))


def _series(
    type_: str, config: Mapping[str, Any], zone: ZoneInfo, anchor: datetime, start: datetime | None
) -> Series:
    anchored = moment(within_range(micros(anchor))).astimezone(zone).date()
    if type_ == "once":
        return _once(config["run_at"], zone)
    if type_ == "interval":
        length = config["every"] * configs.UNIT_SECONDS[config["unit"]] * SECOND
        # A given start is the first run; a task that was just made waits for one interval.
        return Elapsed(micros(start) if start else micros(anchor) + length, length)
    if type_ == "custom":
        parsed = cron.parse(config["cron_expression"])
        return OnTheWall(zone, parsed.matching, parsed.times, as_shown=parsed.as_shown)
    return OnTheWall(zone, _days(type_, config, anchored), (_seconds(config["time"]),))


def _once(run_at: str | None, zone: ZoneInfo) -> Series:
    if run_at is None:
        return Moments(None)
    given = datetime.fromisoformat(run_at)
    if given.tzinfo is not None:
        return Moments(micros(given))
    return OnTheWall(zone, days.OneDay(day_of(given.date())), (_seconds(f"{given:%H:%M:%S}"),))


def _days(type_: str, config: Mapping[str, Any], anchored: date) -> days.Days:
    every, day = config["every"], day_of(anchored)
    if type_ == "daily":
        return days.Period(day, every, (0,))
    if type_ == "weekly":
        monday = day - anchored.weekday()
        return days.Period(monday, 7 * every, tuple(config["days_of_week"]))
    first = days.month_number(anchored)
    pick = (
        days.nth_weekday(config["nth"], config["weekday"])
        if "nth" in config
        else days.day_of_month(config["day_of_month"], config["missing_day"])
    )
    return days.Months(days.Period(first, every, (0,)), pick)


def _seconds(time: str) -> int:
    hour, minute, second = [*map(int, time.split(":")), 0][:3]
    return hour * 3_600 + minute * 60 + second
