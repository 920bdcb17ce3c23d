"""Takes what commands write: in order, without holes or marked, and never more than the limit."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction

from devices.ledger_port import OutputNext, RunOutput
from scheduling import live
from scheduling.ledger import budget, keeping
from scheduling.ledger.keeping import Piece, Tail
from scheduling.models import DeviceRun

OPEN = frozenset({"claimed", "running", "lost"})


@transaction.atomic
def output(chunks: Sequence[RunOutput]) -> list[OutputNext]:
    """Appends a batch and answers, for each run in it, the offset at which the agent goes on."""
    tails = _tails({one.run for one in chunks})
    for frame in chunks:
        tail = tails.get((frame.device, frame.run))
        if tail is not None and tail.run.status in OPEN:
            take(tail, frame)
    changed = [tail for tail in tails.values() if tail.has_changed]
    keeping.write(changed, budget.LIMITS.of(changed))
    live.changed("run", [tail.run.pk for tail in changed])
    keys = dict.fromkeys((one.device, one.run) for one in chunks)
    return [OutputNext(*key, tails[key].run.output_next if key in tails else -1) for key in keys]


def _tails(run_ids: set[UUID]) -> dict[tuple[UUID | None, UUID], Tail]:
    rows = DeviceRun.objects.filter(pk__in=run_ids).select_for_update(no_key=True)
    fields = ("device", "status", "execution", *keeping.FIELDS)
    return {(run.device_id, run.pk): Tail(run) for run in rows.order_by("pk").only(*fields)}


def take(tail: Tail, frame: RunOutput) -> None:
    """Appends a frame that goes on where the output ends; cuts or ignores one that repeats;
    refuses one that starts later, unless it says how many bytes it jumps over."""
    run = tail.run
    start = frame.offset
    if frame.skipped and start - frame.skipped <= run.output_next < start:
        tail.gaps.append((run.output_next, start - run.output_next))
        run.output_next = start
    if start > run.output_next:
        return
    data = frame.data[run.output_next - start :]
    if data:
        tail.pieces.append(Piece(run.output_next, frame.stream, data))
        run.output_next += len(data)
        run.output_sent += len(data)
        run.output_kept += len(data)
