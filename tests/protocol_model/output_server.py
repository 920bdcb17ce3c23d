"""P6, the server's half: the ledger's own output and results, on a real PostgreSQL."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

from django.db import transaction
from django.utils import timezone

from devices.ledger_port import RunOutput, RunResult
from scheduling import ledger
from scheduling.models import DeviceRun, OutputChunk, OutputGap
from scheduling.tests import factories
from tests.protocol_model.frames import DEVICE_ID, run_id
from tests.protocol_model.output_device import DIGEST, SPOOLED
from tests.protocol_model.server import _execute, untriggered

RUN_ID = run_id(0)
# The package has a function of this name.
_module = import_module("scheduling.ledger.output")


class Kept(NamedTuple):
    """What the server has: chunks and gaps, where it goes on, what it was sent, whether it ended and
    with the digest that the device says."""

    chunks: tuple[tuple[int, str, bytes], ...] = ()
    gaps: tuple[tuple[int, int], ...] = ()
    next: int = 0
    sent: int = 0
    has_ended: bool = False
    has_digest: bool = False


class OutputServer:
    """Make one inside a transaction of a test."""

    def __init__(self) -> None:
        _execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        person = factories.person("model", is_administrator=True)
        device = factories.device("model", pk=DEVICE_ID)
        execution = factories.execution(factories.task(person, devices=[device]))
        DeviceRun.objects.create(
            pk=RUN_ID, execution=execution, task_id=execution.task_id, device=device,
            device_name="model", terms=b"terms", signature=b"signature",
        )  # fmt: skip
        self._steps: dict[tuple[Kept, Any], tuple[Kept, int]] = {}

    def step(self, kept: Kept, frame: Any) -> tuple[Kept, int]:
        """What it has after an output frame and where it says to go on, or after the result."""
        key = (kept, frame)
        if key not in self._steps:
            with transaction.atomic():
                with untriggered():
                    _write(kept)
                said = _result() if frame == "result" else _output(frame)
                self._steps[key] = (_read(), said)
                transaction.set_rollback(True)
        return self._steps[key]


def _output(frame: tuple[int, str, bytes, int]) -> int:
    offset, stream, data, skipped = frame
    chunk = RunOutput(DEVICE_ID, RUN_ID, offset, stream, data, skipped)
    (answer,) = _module.output([chunk])
    return answer.next


def _result() -> int:
    ledger.results([RunResult(DEVICE_ID, RUN_ID, "succeeded", 0, {}, len(SPOOLED), DIGEST)])
    return -1


def _write(kept: Kept) -> None:
    OutputChunk.objects.filter(run=RUN_ID).delete()
    OutputGap.objects.filter(run=RUN_ID).delete()
    OutputChunk.objects.bulk_create(
        OutputChunk(run_id=RUN_ID, offset=offset, stream=stream, data=data)
        for offset, stream, data in kept.chunks
    )
    OutputGap.objects.bulk_create(
        OutputGap(run_id=RUN_ID, offset=offset, bytes=length) for offset, length in kept.gaps
    )
    DeviceRun.objects.filter(pk=RUN_ID).update(
        status="succeeded" if kept.has_ended else "running",
        finished_at=timezone.now() if kept.has_ended else None,
        started_at=timezone.now(), output_next=kept.next, output_sent=kept.sent,
        output_kept=kept.sent, output_tail_start=0, output_truncated=bool(kept.gaps),
        output_sha256=DIGEST if kept.has_digest else "",
    )  # fmt: skip


def _read() -> Kept:
    run = DeviceRun.objects.get(pk=RUN_ID)
    chunks = OutputChunk.objects.filter(run=run).order_by("offset", "pk")
    gaps = OutputGap.objects.filter(run=run).order_by("offset")
    return Kept(
        tuple((one.offset, one.stream, bytes(one.data)) for one in chunks),
        tuple((one.offset, one.bytes) for one in gaps),
        run.output_next,
        run.output_sent,
        run.status == "succeeded",
        run.output_sha256 == DIGEST,
    )
