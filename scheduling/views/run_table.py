"""The devices of an execution as a table: what filters it, what sorts it, and one page of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import F
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.pages import paginate
from scheduling import alike, progress, steering, waiting
from scheduling.models import DeviceRun, Execution

if TYPE_CHECKING:
    from uuid import UUID

    from django.core.paginator import Page
    from django.http import HttpRequest, QueryDict
    from django.utils.functional import Promise

    from scheduling.models.device_run import DeviceRunQuerySet
    from scheduling.standing import Standing

RUNS_PER_PAGE = 50
OFFLINE, LOST, DIFFERENT = "offline", "lost", "different"
HEADLINES: tuple[tuple[str, str | Promise, str, tuple[str, ...]], ...] = (
    ("succeeded", gettext_lazy("Succeeded"), "good", ("succeeded",)),
    ("failed", gettext_lazy("Failed"), "bad", steering.FAILED),
    (LOST, gettext_lazy("Lost"), "bad", ("lost",)),
    ("running", gettext_lazy("Running"), "busy", ("running",)),
    ("waiting", gettext_lazy("Waiting"), "wait", DeviceRun.UNSTARTED),
    ("skipped", gettext_lazy("Skipped"), "still", ("skipped",)),
    ("cancelled", gettext_lazy("Cancelled"), "still", ("cancelled",)),
)
SORTS: Mapping[str, tuple[str | Promise, Any]] = {
    "device": (gettext_lazy("Device"), F("device_name")),
    "state": (gettext_lazy("State"), F("status")),
    "took": (gettext_lazy("Took"), F("finished_at") - F("started_at")),
    "exit": (gettext_lazy("Exit code"), F("exit_code")),
    "output": (gettext_lazy("Output"), F("output_next")),
}
# The page shows none of it, and it may be large.
_UNSHOWN = ("terms", "signature", "device__facts", "device__public_key", "device__tags")


@dataclass(frozen=True, slots=True)
class Headline:
    """One count that filters the table."""

    name: str
    label: str | Promise
    tone: str
    count: int


@dataclass(frozen=True, slots=True)
class Column:
    """A heading that sorts: `sort` is what its link asks for, `direction` how it is sorted now."""

    name: str
    label: str | Promise
    sort: str
    direction: str


def headlines(execution: Execution, standing: Standing) -> list[Headline]:
    counts = execution.result.get("counts", {})
    found = [
        Headline(name, label, tone, sum(counts.get(status, 0) for status in statuses))
        for name, label, tone, statuses in HEADLINES
    ]
    if not execution.has_ended:
        found.insert(5, Headline(OFFLINE, _("Waiting, offline"), "mild", standing.can.offline))
    return found


def columns(query: QueryDict) -> list[Column]:
    chosen = query.get("sort", "")
    return [
        Column(
            name,
            label,
            sort=f"-{name}" if chosen == name else name,
            direction={name: "ascending", f"-{name}": "descending"}.get(chosen, ""),
        )
        for name, (label, _by) in SORTS.items()
    ]


def page(request: HttpRequest, execution: Execution, standing: Standing) -> Page[DeviceRun]:
    """The page of the table that the address names, each run saying what it waits for."""
    query = request.GET
    found = _filtered(execution.runs.all(), query, standing)
    # Sorted by a few columns alone: the rows are wide, and there may be 50,000 of them.
    keys = found.order_by(*_order(query.get("sort", ""))).only("pk", "execution")
    shown = paginate(request, keys, RUNS_PER_PAGE, count=_known_count(query, standing))
    shown.object_list = _rows(execution, [run.pk for run in shown.object_list])
    return shown


def _rows(execution: Execution, ids: Sequence[UUID]) -> list[DeviceRun]:
    # By their ids alone: asked for those of the execution, PostgreSQL may walk through all of them.
    found = waiting.with_words(DeviceRun.objects.all(), [execution.pk])
    by_id = found.select_related("device").defer(*_UNSHOWN).in_bulk(ids)
    rows = [by_id[pk] for pk in ids if pk in by_id]
    for run in rows:
        run.execution = execution
    waiting.explain(rows)
    return rows


def _filtered(runs: DeviceRunQuerySet, query: QueryDict, standing: Standing) -> DeviceRunQuerySet:
    show, output = query.get("show", ""), query.get("output", "")
    statuses = {name: statuses for name, _label, _tone, statuses in HEADLINES}
    if show in statuses:
        runs = runs.filter(progress.COUNTED, status__in=statuses[show])
    elif show == OFFLINE:
        runs = runs.filter(progress.COUNTED, progress.WAITS_OFFLINE)
    if output == DIFFERENT and (reference := standing.outputs.reference):
        runs = runs.filter(alike.COMPARABLE).exclude(reference.condition)
    elif group := alike.named(output):
        runs = runs.filter(group.condition)
    if search := query.get("search", "").strip():
        runs = runs.filter(device_name__icontains=search)
    return runs


def _order(sort: str) -> tuple[Any, ...]:
    name = sort.removeprefix("-")
    if name not in SORTS:
        return ("wave", "device_name", "id")
    by = SORTS[name][1]
    first = by.desc(nulls_last=True) if sort != name else by.asc(nulls_last=True)
    return (first, "device_name", "id")


def _known_count(query: QueryDict, standing: Standing) -> int | None:
    """How many rows there are, where that has been counted already."""
    if query.get("search", "").strip() or query.get("output"):
        return None
    statuses = {name: statuses for name, _label, _tone, statuses in HEADLINES}
    if (show := query.get("show", "")) in statuses:
        return sum(standing.can.counts[status] for status in statuses[show])
    return standing.can.offline if show == OFFLINE else standing.can.runs
