"""Keeps what commands write: in order, without holes or marked, and never more than the limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.conf import settings
from django.db import transaction

from devices.ledger_port import OutputNext, RunOutput
from scheduling import live
from scheduling.models import DeviceRun, OutputChunk, OutputGap

OPEN = frozenset({"claimed", "running", "lost"})


@dataclass(slots=True)
class _Tail:
    """Where a run's output stands, and what this batch adds to it."""

    run: DeviceRun
    chunks: list[OutputChunk] = field(default_factory=list)
    gaps: list[OutputGap] = field(default_factory=list)

    def take(self, frame: RunOutput) -> None:
        """Appends a frame that goes on where the output ends; cuts or ignores one that repeats;
        refuses one that starts later, unless it says how many bytes it jumps over."""
        run = self.run
        start = frame.offset
        if frame.skipped and start - frame.skipped <= run.output_next < start:
            self._jump(start - run.output_next)
        if start > run.output_next:
            return
        data = frame.data[run.output_next - start :]
        if data:
            self.chunks.append(
                OutputChunk(run=run, offset=run.output_next, stream=frame.stream, data=data)
            )
            run.output_next += len(data)
            run.output_kept += len(data)

    def _jump(self, missing: int) -> None:
        self.gaps.append(OutputGap(run=self.run, offset=self.run.output_next, bytes=missing))
        self.run.output_next += missing
        self.run.output_truncated = True


@transaction.atomic
def output(chunks: Sequence[RunOutput]) -> list[OutputNext]:
    """Appends a batch and answers, for each run in it, the offset at which the agent goes on."""
    rows = DeviceRun.objects.filter(pk__in={one.run for one in chunks}).select_for_update()
    tails = {
        (run.device_id, run.pk): _Tail(run)
        for run in rows.order_by("pk").only(
            "device", "status", "execution", "output_next", "output_kept", "output_truncated"
        )
    }
    for frame in chunks:
        tail = tails.get((frame.device, frame.run))
        if tail is not None and tail.run.status in OPEN:
            tail.take(frame)
    _write([tail for tail in tails.values() if tail.chunks or tail.gaps])
    live.changed("run", {run_id for _, run_id in tails})
    keys = dict.fromkeys((one.device, one.run) for one in chunks)
    return [
        OutputNext(device, run_id, tails[device, run_id].run.output_next)
        if (device, run_id) in tails
        else OutputNext(device, run_id, -1)
        for device, run_id in keys
    ]


def _write(tails: Sequence[_Tail]) -> None:
    OutputChunk.objects.bulk_create([chunk for tail in tails for chunk in tail.chunks])
    OutputGap.objects.bulk_create([gap for tail in tails for gap in tail.gaps])
    for tail in tails:
        if tail.run.output_kept > settings.DEPLOYX_OUTPUT_BYTES_PER_RUN:
            _drop_middle(tail.run)
    DeviceRun.objects.bulk_update(
        [tail.run for tail in tails],
        ["output_next", "output_kept", "output_truncated"],
    )


def _drop_middle(run: DeviceRun) -> None:
    """Drops the oldest whole chunks after the kept head, until the run is within its limit."""
    head = settings.DEPLOYX_OUTPUT_HEAD_BYTES
    surplus = run.output_kept - settings.DEPLOYX_OUTPUT_BYTES_PER_RUN
    after_head = OutputChunk.objects.filter(run=run, offset__gte=head).order_by("offset")
    doomed: list[tuple[int, int]] = []
    for pk, offset, data in after_head.values_list("pk", "offset", "data").iterator(chunk_size=50):
        if surplus <= 0:
            break
        doomed.append((pk, len(data)))
        _mark_dropped(run.pk, offset, len(data))
        surplus -= len(data)
    OutputChunk.objects.filter(pk__in=[pk for pk, _ in doomed]).delete()
    run.output_kept -= sum(length for _, length in doomed)
    run.output_truncated = True


def _mark_dropped(run_id: UUID, offset: int, length: int) -> None:
    """Grows the gap that ends where these bytes begin, or marks a new one."""
    for gap in OutputGap.objects.filter(run=run_id, offset__lte=offset):
        if gap.offset + gap.bytes == offset:
            OutputGap.objects.filter(pk=gap.pk).update(bytes=gap.bytes + length)
            return
    OutputGap.objects.create(run_id=run_id, offset=offset, bytes=length)
