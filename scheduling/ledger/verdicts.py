"""What becomes of a device's runs when it says hello: protocol.md's table of verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from devices.ledger_port import JournalRow, RunVerdict, Session
from devices.models import Device
from scheduling import alarms
from scheduling.ledger import evidence
from scheduling.models import DeviceRun


@transaction.atomic
def hello(session: Session, journal: Sequence[JournalRow]) -> list[RunVerdict]:
    """Settles a device's runs against its journal.

    A session that a newer one has fenced meanwhile changes nothing: its claims would be nobody's.
    """
    device = live_device(session)
    if device is None:
        return []
    said = {row.run: row for row in journal}
    mine = DeviceRun.objects.filter(device=session.device, status__in=["claimed", "running"])
    open_here = set(mine.values_list("pk", flat=True))
    runs = held(device, open_here | said.keys())
    for run in [runs[pk] for pk in sorted(open_here) if pk in runs and pk not in said]:
        unmentioned(run)
    verdicts = judge(session, device, runs, said)
    evidence.tell({run.execution_id for run in runs.values()})
    return verdicts


def live_device(session: Session) -> Device | None:
    """The session's device, locked, while this is its live session."""
    live_one = Device.objects.filter(pk=session.device, session=session.session)
    return live_one.select_for_update(no_key=True).first()


def held(device: Device, run_ids: Iterable[UUID]) -> dict[UUID, DeviceRun]:
    """The device's own among these runs, locked in the order of their ids, each with its device."""
    rows = DeviceRun.objects.filter(device=device, pk__in=list(run_ids)).order_by("pk")
    runs = {run.pk: run for run in rows.select_for_update()}
    for run in runs.values():
        run.device = device
    return runs


def judge(
    session: Session,
    device: Device,
    runs: Mapping[UUID, DeviceRun],
    said: Mapping[UUID, JournalRow],
) -> list[RunVerdict]:
    """The verdicts on what the device said; a run may get two."""
    # Another device's run is none of this one's, and unknown here as well.
    alarms.unknown_runs(device, said.keys() - runs.keys())
    verdicts = []
    for run_id in sorted(said):
        run = runs.get(run_id)
        words = ["keep"] if run is None else _verdicts(session, run, said[run_id])
        verdicts += [RunVerdict(run_id, word) for word in words]
    return verdicts


def unmentioned(run: DeviceRun) -> None:
    """The server thinks the device has it; the device's journal has never heard of it."""
    if run.status == "claimed":
        evidence.move(run, DeviceRun.Status.QUEUED, claim_session=None, claimed_at=None)
    elif run.status == "running":
        evidence.lose(run, _("The device came back without any trace of this run."))


def _verdicts(session: Session, run: DeviceRun, row: JournalRow) -> list[str]:
    if row.state == "claimed":
        return _verdicts_on_claimed(session, run)
    if row.state == "go":
        return _verdicts_on_go(run)
    if row.result is not None:
        evidence.settle(row.result)
    return ["ack"]


def _verdicts_on_claimed(session: Session, run: DeviceRun) -> list[str]:
    if run.status == "claimed":
        DeviceRun.objects.filter(pk=run.pk).update(claim_session=session.session)
        return ["keep"]
    if run.status == "running":
        evidence.lose(run, _("GO was sent and the device never saw it."))
    if evidence.never_started(run):
        return ["kill", "ack"]
    return ["drop"]


def _verdicts_on_go(run: DeviceRun) -> list[str]:
    if run.status in DeviceRun.UNSTARTED:
        evidence.begin_unasked(run)
    if run.status in ("running", "lost"):
        return ["keep"]
    if evidence.never_started(run):
        alarms.ran_after_its_end(run)
    return ["kill", "ack"]
