"""The engine against the slow reference, around the changes of every zone's clock."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from scheduling import zones
from scheduling.recurrence import Rule
from scheduling.tests.recurrence.given import EFFORT, rule, utc
from scheduling.tests.recurrence.reference import (
    MINUTE,
    SECOND,
    Plain,
    Tick,
    Transition,
    transitions,
    watch,
)

LAST_YEAR = 2037
# Before 1973 some zones were off by seconds, which a walk by the minute would not meet.
FIRST_YEAR = 1973
AT_MOST = 300
_PAUSE = timedelta(microseconds=1)
walks = settings(
    max_examples=40 * EFFORT,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@dataclass(frozen=True)
class Window:
    """Some days of a zone's clock around one of its changes."""

    zone: str
    change: Transition
    start: datetime
    end: datetime
    step: timedelta = MINUTE

    @classmethod
    def around(cls, zone: str, change: Transition, width: timedelta, step: timedelta) -> Window:
        middle = change.at.replace(second=0) if step == MINUTE else change.at
        return cls(zone, change, middle - width / 2, middle + width / 2, step)

    def ticks(self) -> list[Tick]:
        return _ticks(self.zone, self.start, self.end, self.step)


@lru_cache(maxsize=3)
def _ticks(zone: str, start: datetime, end: datetime, step: timedelta) -> list[Tick]:
    return watch(ZoneInfo(zone), start, end, step)


def assert_agree(plain: Plain, window: Window) -> None:
    engine = _engine(plain)
    expected = plain.runs(window.ticks())
    assert engine.count_between(window.start, window.end) == len(expected)
    latest = engine.latest_between(window.start, window.end)
    assert (latest.at if latest else None) == (expected[-1] if expected else None)
    near = expected
    if len(expected) > AT_MOST:
        near = [at for at in expected if at > window.change.at - timedelta(hours=30)] or expected
    near = near[:AT_MOST]
    after = near[0] - _PAUSE if near else window.start
    until = near[-1] if len(near) == AT_MOST else window.end
    found = [one.at for one in engine.next_runs(after, len(near) + 1)]
    assert [at for at in found if at <= until] == near
    assert _backwards(engine, after, until) == near


def _engine(plain: Plain) -> Rule:
    return rule(
        plain.recurrence_type,
        dict(plain.config),
        plain.zone.key,
        anchor=plain.anchor,
        start_at=plain.start_at,
        end_at=plain.end_at,
        excluded_dates=list(plain.excluded),
    )


def _backwards(engine: Rule, after: datetime, until: datetime) -> list[datetime]:
    found = []
    while (latest := engine.latest_between(after, until)) is not None:
        found.append(latest.at)
        until = latest.at - _PAUSE
    return found[::-1]


# Rules that have something to do with the change of the window


@st.composite
def windows(draw: st.DrawFn) -> Window:
    zone = draw(st.sampled_from(zones.names()))
    changes = transitions(zone, FIRST_YEAR, LAST_YEAR)
    if changes:
        change = draw(st.sampled_from(changes))
    else:
        at = draw(st.datetimes(datetime(FIRST_YEAR, 1, 1), datetime(LAST_YEAR, 12, 31)))  # noqa: DTZ001
        offset = utc("2000-01-01").astimezone(ZoneInfo(zone)).utcoffset() or timedelta(0)
        change = Transition(utc(f"{at:%Y-%m-%d %H:%M}"), offset, offset)
    return Window.around(zone, change, timedelta(days=10), MINUTE)


@st.composite
def walls(draw: st.DrawFn, window: Window, unit: timedelta) -> datetime:
    """Times on the wall: mostly those about which the change makes a difference."""
    change = window.change
    edge = change.at.replace(tzinfo=None) + draw(st.sampled_from([change.before, change.after]))
    away = draw(st.sampled_from([0, 1, -1, 15, 30, -30]) | st.integers(-150, 150))
    wall = edge + away * unit + timedelta(days=draw(st.integers(-4, 4)))
    return wall if unit == SECOND else wall.replace(second=0)


@st.composite
def plains(draw: st.DrawFn, window: Window, kind: str) -> Plain:
    unit = SECOND if window.step == SECOND else MINUTE
    wall = draw(walls(window, unit))
    config = draw(CONFIGS[kind](window, wall))
    bounds = (
        st.none()
        | st.none()
        | st.integers(-5 * 1_440, 5 * 1_440).map(lambda minutes: window.change.at + minutes * unit)
    )
    start_at, end_at = draw(bounds), draw(bounds)
    if start_at and end_at and end_at < start_at:
        start_at, end_at = end_at, start_at
    ahead = draw(st.integers(-60 * 1_440, 2 * 1_440))
    return Plain(
        {"nth": "monthly", "cron": "custom", "star": "custom"}.get(kind, kind),
        config,
        ZoneInfo(window.zone),
        anchor=start_at or window.change.at + ahead * unit,
        start_at=start_at,
        end_at=end_at,
        excluded=draw(st.just(frozenset()) | st.frozensets(dates_of(window), max_size=3)),
    )


def dates_of(window: Window) -> st.SearchStrategy[date]:
    return st.integers(-5, 5).map(lambda days: (window.change.at + timedelta(days=days)).date())


def _clock(wall: datetime) -> str:
    return f"{wall:%H:%M:%S}" if wall.second else f"{wall:%H:%M}"


def _daily(window: Window, wall: datetime) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda n: {"time": _clock(wall), "every": n}, st.integers(1, 4))


def _weekly(window: Window, wall: datetime) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda days, n: {
            "time": _clock(wall),
            "days_of_week": sorted({*days, wall.weekday()}),
            "every": n,
        },
        st.lists(st.integers(0, 6), max_size=3),
        st.integers(1, 3),
    )


def _monthly(window: Window, wall: datetime) -> st.SearchStrategy[dict[str, Any]]:
    lacks_a_day = any(end.day < 31 for end in _ends_of_months(window))
    days = [30, 31, 31, -1] if lacks_a_day else [wall.day, wall.day, 29, 30, 31, -1]
    return st.builds(
        lambda day, missing, n: {
            "time": _clock(wall), "day_of_month": day, "missing_day": missing, "every": n
        },
        st.sampled_from(days),
        st.sampled_from(["skip", "last"]),
        st.sampled_from([1, 1, 1, 2, 3]),
    )  # fmt: skip


def _nth(window: Window, wall: datetime) -> st.SearchStrategy[dict[str, Any]]:
    wall = max(_ends_of_months(window), default=wall).replace(hour=wall.hour, minute=wall.minute)
    is_last = wall.day > monthrange(wall.year, wall.month)[1] - 7
    nth = min((wall.day + 6) // 7, 4)
    return st.builds(
        lambda nth, n: {"time": _clock(wall), "nth": nth, "weekday": wall.weekday(), "every": n},
        st.sampled_from([nth, -1, -1, -1] if is_last else [nth]),
        st.sampled_from([1, 1, 1, 2]),
    )


def _ends_of_months(window: Window) -> list[datetime]:
    days = [window.change.at.replace(tzinfo=None) + timedelta(days=n) for n in range(-3, 4)]
    return [day for day in days if (day + timedelta(days=1)).day == 1]


def _once(window: Window, wall: datetime) -> st.SearchStrategy[dict[str, Any]]:
    offsets = ("", "", "Z", "+02:00", "-09:30")
    return st.builds(
        lambda offset: {"run_at": f"{wall:%Y-%m-%dT%H:%M:%S}{offset}"}, st.sampled_from(offsets)
    )


def _interval(window: Window, wall: datetime) -> st.SearchStrategy[dict[str, Any]]:
    if window.step == SECOND:
        return st.builds(lambda n: {"every": n, "unit": "seconds"}, st.integers(10, 90_000))
    return st.one_of(
        st.builds(lambda n: {"every": n, "unit": "minutes"}, st.integers(7, 4_000)),
        st.builds(lambda n: {"every": n, "unit": "hours"}, st.integers(1, 60)),
        st.builds(lambda n: {"every": n, "unit": "days"}, st.integers(1, 3)),
    )


def _cron(window: Window, wall: datetime) -> st.SearchStrategy[dict[str, Any]]:
    hours = sorted({wall.hour, (wall.hour + 1) % 24})
    minute = st.sampled_from(
        [
            f"{wall.minute}",
            f"{wall.minute}",
            "0,30",
            "*/20",
            "5-50/15",
            f"{wall.minute % 5}/17",
            "*",
        ]
    )
    hour = st.sampled_from(
        [f"{wall.hour}", f"{hours[0]}-{hours[-1]}", "*", "*/2", "1-3", f"{wall.hour}-23/3", "0,23"]
    )
    day = st.sampled_from(
        ["*", "*", "*", "*", "*", "*", "*/2", "L", "LW", f"{wall.day}", "1-7", "1,15,L"]
    )
    weekday = (wall.weekday() + 1) % 7
    weekdays = st.sampled_from(
        [
            "*",
            "*",
            "*",
            "*",
            "*",
            "*",
            "*/2",
            "mon-fri",
            "5-7",
            f"{weekday}",
            f"{weekday}L",
            f"{weekday}#1,0#4",
        ]
    )
    month = st.sampled_from(["*", "*", "*", "*", "*", f"{wall.month}", "mar-oct/2"])
    fields = st.tuples(minute, hour, day, month, weekdays)
    return fields.map(lambda given: {"cron_expression": " ".join(given)})


def _star(window: Window, wall: datetime) -> st.SearchStrategy[dict[str, Any]]:
    hours = f"{wall.hour}-{min(wall.hour + 1, 23)}"
    return st.builds(
        lambda step: {"cron_expression": f"*/{step} {hours} * * *"}, st.sampled_from([7, 20, 30])
    )


CONFIGS = {
    "daily": _daily,
    "weekly": _weekly,
    "monthly": _monthly,
    "nth": _nth,
    "once": _once,
    "interval": _interval,
    "cron": _cron,
    "star": _star,
}


@walks
@given(st.data())
def test_any_rule_does_what_the_walk_does_around_any_change(data: st.DataObject) -> None:
    window = data.draw(windows())
    for kind in CONFIGS:
        assert_agree(data.draw(plains(window, kind)), window)


# A walk by the second is slow: what fails is shown as it was found.
WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)


# Offsets of seconds, which are of the past, and times with seconds


@st.composite
def old_windows(draw: st.DrawFn) -> Window:
    zone = draw(st.sampled_from(zones.names()))
    changes = [one for one in transitions(zone, 1840, 1972) if one.has_seconds]
    change = draw(st.sampled_from(changes or list(transitions(zone, 1840, LAST_YEAR)) or [_NONE]))
    return Window.around(zone, change, timedelta(hours=20), SECOND)


_NONE = Transition(utc("2000-01-01"), timedelta(0), timedelta(0))


@settings(walks, max_examples=12 * EFFORT, phases=WITHOUT_SHRINKING)
@given(st.data())
def test_to_the_second_as_well(data: st.DataObject) -> None:
    window = data.draw(old_windows())
    # A moment before 1970 is no `run_at`.
    for kind in sorted(CONFIGS.keys() - ({"once"} if window.start.year <= 1970 else set())):
        assert_agree(data.draw(plains(window, kind)), window)


# Every change of ten zones

TEN = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "America/Havana",
    "America/St_Johns",
    "Africa/El_Aaiun",
    "Antarctica/Troll",
)


@pytest.mark.parametrize("zone", TEN)
def test_every_change_of_this_zone_is_as_the_walk_has_it(zone: str) -> None:
    changes = transitions(zone, FIRST_YEAR, LAST_YEAR)
    assert changes
    for change in changes:
        window = Window.around(zone, change, timedelta(days=2), MINUTE)
        for plain in _plains_at(window):
            assert_agree(plain, window)


def _plains_at(window: Window) -> list[Plain]:
    """A day rule and a cron rule that meet the change, and one that follows elapsed time."""
    change = window.change
    inside = change.at.replace(tzinfo=None) + (change.before + change.after) / 2
    anchor = change.at - timedelta(days=8)
    wanted: list[tuple[str, dict[str, Any]]] = [
        ("daily", {"time": f"{inside:%H:%M}", "every": 2}),
        ("custom", {"cron_expression": f"0,{inside.minute} {inside.hour},3 * * *"}),
        ("custom", {"cron_expression": f"*/20 {inside.hour}-23 * * *"}),
    ]
    zone = ZoneInfo(window.zone)
    return [Plain(kind, config, zone, anchor) for kind, config in wanted]
