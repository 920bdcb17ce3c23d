"""How many executions ended on each day, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from django.core.cache import cache
from django.db.models import Count
from django.db.models.functions import TruncDate
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from scheduling.charts.drawing import Chart, Column, Series, round_top, stacked
from scheduling.models import Execution
from scheduling.progress import TELLING

if TYPE_CHECKING:
    from django.contrib.auth.models import User

DAYS = 14
PAST_SECONDS = 600
# From below upwards; what went well is the ground everything else stands on.
OUTCOMES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("success",), "good"),
    (("partial",), "mild"),
    (("failed",), "bad"),
    (("missed",), "held"),
    (("skipped", "cancelled"), "still"),
)
Counts = Mapping[date, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Days:
    """The chart, and the share of those that succeeded among all that were to run; None: none was."""

    chart: Chart
    succeeded: int
    judged: int
    has_any: bool

    @property
    def percent(self) -> int | None:
        return 100 * self.succeeded // self.judged if self.judged else None


def of_days(user: User, zone: str, *, now: datetime) -> Days:
    """The executions this person may see that ended in the last DAYS days of the zone, today's
    included. Over the index of ends: what is older costs nothing, and of the days before today
    what was counted holds for PAST_SECONDS."""
    place = ZoneInfo(zone)
    today = now.astimezone(place).date()
    days = [today - timedelta(days=DAYS - 1 - number) for number in range(DAYS)]
    counts = _of_each(user, days, place)
    succeeded, judged = _judged(counts)
    return Days(_chart(days, counts, zone), succeeded, judged, bool(counts))


def _of_each(user: User, days: Sequence[date], place: ZoneInfo) -> Counts:
    """What ended before today, the last of the days, is not going to change much."""
    today = days[-1]
    key = f"deployx:days:{user.pk}:{place.key}:{today}"
    past: Counts | None = cache.get(key)
    if past is not None:
        return {**past, **_counts(user, today, place)}
    counts = _counts(user, days[0], place)
    past = {day: numbers for day, numbers in counts.items() if day < today}
    cache.set(key, past, PAST_SECONDS)
    return counts


def _counts(user: User, first: date, place: ZoneInfo) -> Counts:
    since = datetime.combine(first, time(), place)
    ended = Execution.objects.visible_to(user).filter(completed_at__gte=since)
    rows = ended.order_by().values_list(TruncDate("completed_at", tzinfo=place), "status")
    found: dict[date, dict[str, int]] = {}
    for day, status, number in rows.annotate(number=Count("pk")):
        found.setdefault(day, {})[status] = number
    return found


def _judged(counts: Counts) -> tuple[int, int]:
    """How many succeeded, of how many that were to run: not those skipped or cancelled."""
    judged = sum(day.get(one, 0) for day in counts.values() for one in TELLING)
    return sum(day.get("success", 0) for day in counts.values()), judged


def _chart(days: Sequence[date], counts: Counts, zone: str) -> Chart:
    series = [Series(_label(statuses), tone) for statuses, tone in OUTCOMES]
    values = [[_number(counts, day, statuses) for statuses, _tone in OUTCOMES] for day in days]
    top = round_top(max((sum(each) for each in values), default=1))
    columns = [_column(day, each) for day, each in zip(days, values, strict=True)]
    total = sum(sum(each) for each in values)
    said = _("%(total)s executions ended in %(days)s days, counted by the clock of %(zone)s.")
    return Chart(
        id="chart-days",
        title=_("Runs per day"),
        summary=said % {"total": total, "days": len(days), "zone": zone},
        top=str(int(top)),
        columns=columns,
        head=[_("Day (%(zone)s)") % {"zone": zone}, *(one.label for one in series)],
        keys=series,
        bars=stacked(columns, series, values, top),
    )


def _label(statuses: Sequence[str]) -> str:
    if len(statuses) > 1:
        return _("Skipped or cancelled")
    return str(Execution.Status(statuses[0]).label)


def _number(counts: Counts, day: date, statuses: Sequence[str]) -> int:
    return sum(counts.get(day, {}).get(status, 0) for status in statuses)


def _column(day: date, numbers: Sequence[int]) -> Column:
    return Column(date_format(day, "D j M"), [str(one) for one in numbers])
