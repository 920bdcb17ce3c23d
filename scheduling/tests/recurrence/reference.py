"""The slow way to a rule's runs: watch the zone's clock step by step, and ask of each time it shows.

Written from the description of the rules alone, to judge the engine by; it shares no code with it.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
UNITS = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400, "weeks": 604_800}
OnDay = Callable[[date], bool]


class Transition(NamedTuple):
    """`at` is the first instant of the new offset; offsets are of local time from UTC."""

    at: datetime
    before: timedelta
    after: timedelta

    @property
    def has_seconds(self) -> bool:
        return any(offset % MINUTE for offset in (self.before, self.after)) or self.at.second != 0


@lru_cache(maxsize=700)
def transitions(name: str, first_year: int, last_year: int) -> tuple[Transition, ...]:
    """Every change of the zone's offset in these years (both count in), found day by day."""
    zone = ZoneInfo(name)
    at, end = datetime(first_year, 1, 1, tzinfo=UTC), datetime(last_year + 1, 1, 1, tzinfo=UTC)
    found, before = [], _offset(zone, at)
    while at < end:
        after = _offset(zone, at + DAY)
        if after != before:
            found.append(_between(zone, at, at + DAY))
        at, before = at + DAY, after
    return tuple(found)


def _between(zone: ZoneInfo, low: datetime, high: datetime) -> Transition:
    before, after = _offset(zone, low), _offset(zone, high)
    while high - low > SECOND:
        middle = low + (high - low) // SECOND // 2 * SECOND
        low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
    return Transition(high, before, after)


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    offset = at.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


class Tick(NamedTuple):
    """At the instant `at` the clock shows `wall`; `fresh` are the wall times it reaches, or jumps
    over, for the first time."""

    at: datetime
    wall: datetime
    fresh: tuple[datetime, ...]


def watch(zone: ZoneInfo, start: datetime, end: datetime, step: timedelta) -> list[Tick]:
    """The clock in (start, end]."""
    # A clock is turned back by a day at most; what it showed two days ago does not come again.
    at = start - 2 * DAY
    latest, ticks = _wall(zone, at), []
    while at < end:
        at += step
        wall = _wall(zone, at)
        fresh = []
        while latest < wall:
            latest += step
            fresh.append(latest)
        if at > start:
            ticks.append(Tick(at, wall, tuple(fresh)))
    return ticks


def _wall(zone: ZoneInfo, at: datetime) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None)


@dataclass(frozen=True)
class Plain:
    """A rule as it was written down."""

    recurrence_type: str
    config: Mapping[str, Any]
    zone: ZoneInfo
    anchor: datetime
    start_at: datetime | None = None
    end_at: datetime | None = None
    excluded: frozenset[date] = frozenset()

    def runs(self, ticks: Iterable[Tick]) -> list[datetime]:
        return [tick.at for tick in self._unbounded(ticks) if self._is_allowed(tick)]

    def _is_allowed(self, tick: Tick) -> bool:
        if self.start_at is not None and tick.at < self.start_at:
            return False
        if self.end_at is not None and tick.at > self.end_at:
            return False
        return tick.wall.date() not in self.excluded

    def _unbounded(self, ticks: Iterable[Tick]) -> list[Tick]:
        if (instants := self._instants()) is not None:
            return [tick for tick in ticks if instants(tick.at)]
        if self.recurrence_type == "custom":
            return self._by_cron(ticks)
        times, on_day = self._times(), self._day_test()
        return [tick for tick in ticks if _fits(tick.fresh, times, on_day)]

    def _instants(self) -> Callable[[datetime], bool] | None:
        """For rules that do not look at the clock on the wall."""
        config = self.config
        if self.recurrence_type == "interval":
            length = timedelta(seconds=config["every"] * UNITS[config["unit"]])
            first = self.start_at or self.anchor + length
            return lambda at: at >= first and (at - first) % length == timedelta(0)
        if self.recurrence_type != "once":
            return None
        if config["run_at"] is None:
            return lambda _at: False
        given = datetime.fromisoformat(config["run_at"])
        return None if given.tzinfo is None else lambda at: at == given

    def _times(self) -> set[time]:
        if self.recurrence_type == "once":
            return {datetime.fromisoformat(self.config["run_at"]).time()}
        return {time.fromisoformat(self.config["time"])}

    def _day_test(self) -> OnDay:
        config, anchored = self.config, self.anchor.astimezone(self.zone).date()
        if self.recurrence_type == "once":
            only = datetime.fromisoformat(config["run_at"]).date()
            return lambda day: day == only
        every = config.get("every", 1)
        if self.recurrence_type == "daily":
            return lambda day: (day - anchored).days % every == 0
        if self.recurrence_type == "weekly":
            monday = anchored - timedelta(days=anchored.weekday())
            return lambda day: (
                day.weekday() in config["days_of_week"]
                and (day - timedelta(days=day.weekday()) - monday).days // 7 % every == 0
            )
        return lambda day: (
            (12 * (day.year - anchored.year) + day.month - anchored.month) % every == 0
            and _is_day_of_month(day, config)
        )

    def _by_cron(self, ticks: Iterable[Tick]) -> list[Tick]:
        cron = Cron(self.config["cron_expression"])
        if cron.follows_elapsed_time:
            return [tick for tick in ticks if _fits((tick.wall,), cron.times, cron.is_on)]
        return [tick for tick in ticks if _fits(tick.fresh, cron.times, cron.is_on)]


def _fits(walls: Iterable[datetime], times: set[time], on_day: OnDay) -> bool:
    for wall in walls:  # noqa: SIM110 (asked of each minute: any() takes twice as long)
        if wall.time() in times and on_day(wall.date()):
            return True
    return False


def _is_day_of_month(day: date, config: Mapping[str, Any]) -> bool:
    length = monthrange(day.year, day.month)[1]
    if "nth" in config:
        place = (length - day.day) // 7 if config["nth"] == -1 else (day.day - 1) // 7
        return bool(day.weekday() == config["weekday"] and place == max(config["nth"] - 1, 0))
    wanted = int(config["day_of_month"])
    if wanted == -1:
        return day.day == length
    if config.get("missing_day") == "last":
        return day.day == min(wanted, length)
    return day.day == wanted


MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


class Cron:
    """Five fields as crontab(5) has them, with L, LW, nL and n#m for days."""

    def __init__(self, expression: str) -> None:
        fields = MACROS.get(expression.lower(), expression).lower().split()
        minute, hour, self._day, month, self._weekday = fields
        minutes, hours = _numbers(minute, 0, 59), _numbers(hour, 0, 23)
        self.times = {time(one, other) for one in hours for other in minutes}
        self._months = _numbers(month, 1, 12, MONTHS)
        self.follows_elapsed_time = minute[0] == "*" or hour[0] == "*"
        self._both = self._day[0] == "*" or self._weekday[0] == "*"

    def is_on(self, day: date) -> bool:
        if day.month not in self._months:
            return False
        fitting = self._fits_day(day), self._fits_weekday(day)
        return all(fitting) if self._both else any(fitting)

    def _fits_day(self, day: date) -> bool:
        return any(_is_day(part, day) for part in self._day.split(","))

    def _fits_weekday(self, day: date) -> bool:
        return any(_is_weekday(part, day) for part in self._weekday.split(","))


def _is_day(part: str, day: date) -> bool:
    length = monthrange(day.year, day.month)[1]
    if part == "l":
        return day.day == length
    if part == "lw":
        last = date(day.year, day.month, length)
        while last.isoweekday() > 5:
            last -= DAY
        return day == last
    return day.day in _numbers(part, 1, 31)


def _is_weekday(part: str, day: date) -> bool:
    length = monthrange(day.year, day.month)[1]
    if part.endswith("l"):
        return _is_weekday(part[:-1], day) and day.day > length - 7
    if "#" in part:
        weekday, nth = part.split("#")
        return _is_weekday(weekday, day) and (day.day + 6) // 7 == int(nth)
    return day.isoweekday() % 7 in {number % 7 for number in _numbers(part, 0, 7, WEEKDAYS)}


def _numbers(field: str, low: int, high: int, names: list[str] | None = None) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _slash, step = part.partition("/")
        first, _dash, last = span.partition("-")
        if span == "*":
            start, end = low, min(high, 6) if names is WEEKDAYS else high
        else:
            start = _number(first, low, names)
            end = _number(last, low, names) if last else (high if step else start)
        found |= set(range(start, end + 1, int(step or 1)))
    return found


def _number(text: str, low: int, names: list[str] | None) -> int:
    return low + names.index(text) if names and text in names else int(text)
