"""What the address of the task list narrows it to; other pages that act on "all that match" read the
same address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from devices.agent import kinds
from scheduling import planning
from scheduling.models import ScheduledTask

if TYPE_CHECKING:
    from scheduling.models.scheduled_task import ScheduledTaskQuerySet

FILTERS = ("search", "status", "type", "ran", "due", "tag")
SORTS: dict[str, tuple[Any, ...]] = {
    "next": (F("next_run_time").asc(nulls_last=True), "-pk"),
    "last": (F("last_run_time").desc(nulls_last=True), "-pk"),
    "name": (Lower("name"), "-pk"),
    "runs": ("-execution_count", "-pk"),
    "newest": ("-pk",),
}
SORT_LABELS = (
    ("next", _("Next run")),
    ("last", _("Last run")),
    ("name", _("Name")),
    ("runs", _("Most runs")),
    ("newest", _("Newest")),
)
RAN = (
    ("day", _("Within 24 hours")),
    ("week", _("Within 7 days")),
    ("old", _("Longer ago than 30 days")),
    ("never", _("Never")),
)
DUE = (
    ("day", _("Within 24 hours")),
    ("week", _("Within 7 days")),
    ("none", _("None planned")),
    ("over", _("Nothing left to come")),
)
# Views that people come back to, as the addresses they are.
QUICK = (
    (_("Failed in the last 24 hours"), "status=failed&ran=day&sort=last"),
    (_("Running now"), "status=running&sort=last"),
    (_("Due within 24 hours"), "due=day&sort=next"),
    (_("Never run"), "ran=never&sort=newest"),
    (_("Nothing left to come"), "due=over&sort=last"),
)
Query = Mapping[str, str]


def chosen(query: Query) -> dict[str, str]:
    """The filters that are set, as the address has them."""
    return {name: query[name].strip() for name in FILTERS if query.get(name, "").strip()}


def narrowed(tasks: ScheduledTaskQuerySet, query: Query, *, now: datetime) -> ScheduledTaskQuerySet:
    """Those the address asks for, in no order; a value that nobody knows narrows nothing."""
    found = tasks.listed()
    for name, value in chosen(query).items():
        found = found.filter(_NARROW[name](value, now))
    return found


def ordered(tasks: ScheduledTaskQuerySet, query: Query) -> ScheduledTaskQuerySet:
    return tasks.order_by(*SORTS.get(query.get("sort", ""), SORTS["next"]))


def _status(value: str, _now: datetime) -> Q:
    return Q(status=value) if value in ScheduledTask.Status.values else Q()


def _type(value: str, _now: datetime) -> Q:
    return Q(task_type=value) if value in dict(kinds.choices()) else Q()


def _ran(value: str, now: datetime) -> Q:
    return {
        "day": Q(last_run_time__gte=now - timedelta(days=1)),
        "week": Q(last_run_time__gte=now - timedelta(days=7)),
        "old": Q(last_run_time__lt=now - timedelta(days=30)),
        "never": Q(last_run_time=None),
    }.get(value, Q())


def _due(value: str, now: datetime) -> Q:
    return {
        "day": Q(next_run_time__lte=now + timedelta(days=1)),
        "week": Q(next_run_time__lte=now + timedelta(days=7)),
        "none": Q(next_run_time=None),
        "over": Q(is_paused=False) & planning.nothing_left(),
    }.get(value, Q())


_NARROW: dict[str, Callable[[str, datetime], Q]] = {
    "search": lambda value, _now: Q(name__icontains=value),
    "status": _status,
    "type": _type,
    "ran": _ran,
    "due": _due,
    "tag": lambda value, _now: Q(tags__contains=[value]),
}
