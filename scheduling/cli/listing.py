"""The rows that the listing verbs show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scheduling import progress, waiting
from scheduling.api.serializers import ExecutionSerializer, RunSerializer
from scheduling.cli import finding
from scheduling.models import DeviceRun, Execution, ScheduledTask

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def tasks(user: User, options: Mapping[str, Any]) -> list[ScheduledTask]:
    """Those that pass every filter, the newest first. Raises InvalidInput for an unknown target."""
    found = ScheduledTask.objects.visible_to(user).listed()
    if options["status"]:
        found = found.filter(status=options["status"])
    if options["tag"]:
        found = found.filter(tags__contains=[options["tag"]])
    if options["search"]:
        found = found.filter(name__icontains=options["search"])
    if options["device"]:
        (device,) = finding.devices(user, [options["device"]])
        found = found.filter(device_ids__contains=[str(device.pk)])
    if options["group"]:
        (group,) = finding.groups(user, [options["group"]])
        found = found.filter(group_ids__contains=[str(group.pk)])
    return list(found.prefetch_related("dependencies")[: _limit(options["limit"])])


def executions(
    user: User, *, task: ScheduledTask | None, status: str | None = None, limit: int
) -> list[Execution]:
    """The newest first, each with its result as it is now."""
    found = Execution.objects.visible_to(user).defer("payload", "rollback_payload", "definition")
    if task is not None:
        found = found.filter(task=task)
    if status:
        found = found.filter(status=status)
    return progress.with_results(found[: _limit(limit)])


def execution_json(execution: Execution) -> dict[str, Any]:
    """As the API shows it, its result as it is now."""
    (execution,) = progress.with_results([execution])
    return dict(ExecutionSerializer(execution).data)


def runs_json(runs: Sequence[DeviceRun]) -> list[dict[str, Any]]:
    """The runs come with `execution` and `device` selected."""
    waiting.explain(runs)
    return [dict(one) for one in RunSerializer(runs, many=True).data]


def _limit(number: int) -> int:
    return max(1, number)
