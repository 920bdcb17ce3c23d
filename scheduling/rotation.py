"""What becomes of released runs when the signing key is replaced: signed anew, or cancelled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.utils.translation import gettext as _

from devices import key_rotation
from devices.agent import protocol
from devices.key_rotation import Handover
from devices.keys import Signer
from scheduling import clock, hints, live
from scheduling.models import DeviceRun
from scheduling.models.device_run import DeviceRunQuerySet

AT_ONCE = 2_000
WAITING = ("queued", "claimed")
_SIGN = """
    UPDATE scheduled_task_device_runs AS run
       SET key_id = %s, signature = row.signature
      FROM unnest(%s::uuid[], %s::bytea[]) AS row (id, signature)
     WHERE run.id = row.id AND run.status IN ('queued', 'claimed')
"""


@dataclass(frozen=True, slots=True)
class Rotated:
    """`left` runs were altered since they were signed: devices will refuse them."""

    key_id: str
    signed_anew: int = 0
    cancelled: int = 0
    left: int = 0


def rotate() -> Rotated:
    """A new key; what waits for its grant or its start is signed with it, under the same run id.
    Raises SigningKeyError."""
    known: dict[UUID, bytes] = {}

    def prepare(handover: Handover) -> None:
        # Most of the work, while everybody else goes on.
        known.update(_signed_anew(handover, _signed_by(handover.old)))

    def carry_over(handover: Handover) -> tuple[int, int]:
        mine = set(_signed_by(handover.old).values_list("pk", flat=True))
        known.update(_signed_anew(handover, _signed_by(handover.old).exclude(pk__in=list(known))))
        signatures = {run_id: known[run_id] for run_id in mine if run_id in known}
        _write(handover.new.key_id, signatures)
        return len(signatures), _waiting().count() - len(signatures)

    handover, (signed, left) = key_rotation.rotate(prepare, carry_over)
    hints.wake_hubs()
    return Rotated(handover.new.key_id, signed_anew=signed, left=left)


def rotate_compromised() -> Rotated:
    """A new key; what the old one signed and has not started is cancelled: nobody knows who
    signed it. Raises SigningKeyError."""
    handover, cancelled = key_rotation.rotate(lambda _handover: None, lambda _handover: _cancel())
    hints.wake_hubs()
    return Rotated(handover.new.key_id, cancelled=cancelled)


def _cancel() -> int:
    """Those of a device in recovery may have started: they are only asked to end."""
    now = clock.now()
    _waiting().in_recovery().update(cancel_requested_at=now)
    waiting = _waiting().out_of_recovery()
    executions = set(waiting.values_list("execution", flat=True))
    cancelled = waiting.move(
        DeviceRun.Status.CANCELLED,
        finished_at=now,
        cancel_requested_at=now,
        error_message=_("Cancelled: the key that had signed it was replaced."),
    )
    hints.advance(executions)
    live.changed("execution", executions)
    return cancelled


def _waiting() -> DeviceRunQuerySet:
    return DeviceRun.objects.filter(status__in=WAITING)


def _signed_by(signer: Signer) -> DeviceRunQuerySet:
    return _waiting().filter(key_id=signer.key_id)


def _signed_anew(handover: Handover, runs: DeviceRunQuerySet) -> Iterator[tuple[UUID, bytes]]:
    """The new signatures of those that the old key has really signed. Terms never change."""
    old_key = handover.old.public_key
    for run_id, terms, signature in runs.values_list("pk", "terms", "signature").iterator():
        said, mark = bytes(terms or b""), bytes(signature or b"")
        if protocol.verify(old_key, mark, protocol.run_bytes(said)):
            yield run_id, handover.new.sign(said)


def _write(key_id: str, signatures: dict[UUID, bytes]) -> None:
    run_ids = list(signatures)
    with connection.cursor() as cursor:
        for first in range(0, len(run_ids), AT_ONCE):
            some = run_ids[first : first + AT_ONCE]
            cursor.execute(_SIGN, [key_id, some, [signatures[one] for one in some]])
