"""A device in recovery mode: what it is asked at its hello, and what its answer settles."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from devices.agent.protocol import TOMBSTONE_SECONDS
from devices.ledger_port import JournalRow, RunVerdict, Session
from scheduling import clock, recovery
from scheduling.ledger import evidence, verdicts
from scheduling.models import DeviceRun, Execution

TOMBSTONES = timedelta(seconds=TOMBSTONE_SECONDS)


def recall(session: Session) -> list[UUID]:
    """The unfinished and lost runs of a device in recovery; none where it is not."""
    asked = DeviceRun.objects.in_recovery().filter(
        device=session.device, status__in=[*DeviceRun.UNENDED, DeviceRun.Status.LOST]
    )
    return list(asked.order_by("pk").values_list("pk", flat=True))


@transaction.atomic
def recalled(
    session: Session, asked: Collection[UUID], journal: Sequence[JournalRow], *, is_whole: bool
) -> list[RunVerdict]:
    """Settles what was asked against what the device's journal and tombstones say, and only then
    lets its mark fall. `is_whole` is whether the journal can be believed where it says nothing.

    A session that a newer one has fenced meanwhile changes nothing.
    """
    device = verdicts.live_device(session)
    if device is None:
        return []
    said = {row.run: row for row in journal}
    runs = verdicts.held(device, said.keys() | set(asked))
    judged = verdicts.judge(session, device, runs, said)
    memory = _Memory(recovery.horizon(), clock.now(), is_whole)
    for run in [runs[pk] for pk in sorted(asked) if pk in runs and pk not in said]:
        _settle_unmentioned(run, memory)
    recovery.let_mark_fall([device.pk])
    evidence.tell({run.execution_id for run in runs.values()})
    return judged


class _Memory:
    """How far back a device's silence about a run proves that it never began."""

    def __init__(self, horizon: recovery.Horizon, now: datetime, is_whole: bool) -> None:
        self._horizon = horizon
        self._now = now
        self._is_whole = is_whole

    def reaches(self, run: DeviceRun) -> bool:
        if not self._horizon.covers(run.created_at):
            return True  # opened after the restore: nobody can have granted it
        return self._is_whole and self._now <= self._until(run)

    def _until(self, run: DeviceRun) -> datetime:
        """When the earliest tombstone that the run can have was forgotten."""
        if run.not_after is not None:
            return run.not_after + TOMBSTONES
        released = self._horizon.latest_known(run.created_at)
        if self._now <= released + TOMBSTONES:
            return self._now
        definition = Execution.objects.values_list("definition", flat=True).get(pk=run.execution_id)
        return released + timedelta(seconds=definition["expires_after_seconds"]) + TOMBSTONES


def _settle_unmentioned(run: DeviceRun, memory: _Memory) -> None:
    if run.status in DeviceRun.UNSTARTED and not memory.reaches(run):
        evidence.lose(run, _("The device remembers too little to say whether this has run."))
    elif run.status in DeviceRun.UNSTARTED and run.cancel_requested_at is not None:
        evidence.move(run, DeviceRun.Status.CANCELLED, finished_at=clock.now())
    else:
        verdicts.unmentioned(run)
