"""Output and results on their way to the ledger, in the order they came."""

from __future__ import annotations

from uuid import UUID

from devices.agent import protocol
from devices.hub.claims import Claims
from devices.hub.lane import Lane
from devices.hub.register import Register
from devices.hub.threads import Threads
from devices.ledger_port import Ledger, RunOutput, RunResult, Session

RESULT_WEIGHT = 4_096
BATCH_BYTES = 4 * 1024 * 1024
FULL_BYTES = 64 * 1024 * 1024

# A result has no offset. Output stays one entry per first byte, those it skips included, so that a
# repeat replaces it, and what follows a gap does not replace the gap.
Key = tuple[UUID, UUID, int | None]


class Evidence:
    """A result is written after all output that came before it: they share one lane."""

    def __init__(
        self, ledger: Ledger, threads: Threads, register: Register, claims: Claims
    ) -> None:
        self._ledger = ledger
        self._threads = threads
        self._register = register
        self._claims = claims
        self.lane: Lane[Key, RunOutput | RunResult] = Lane(
            "evidence",
            self._record,
            weigh=_weight,
            batch_weight=BATCH_BYTES,
            full_weight=FULL_BYTES,
        )

    def put(self, session: Session, frame: protocol.Output | protocol.Result) -> None:
        run = UUID(frame.run)
        if isinstance(frame, protocol.Output):
            chunk = RunOutput(
                session.device, run, frame.offset, frame.stream.value, frame.data, frame.skipped
            )
            self.lane.put((session.device, run, frame.offset - frame.skipped), chunk)
        else:
            result = RunResult(
                session.device,
                run,
                frame.outcome.value,
                frame.exit_code,
                frame.detail,
                frame.output_length,
                frame.output_sha256,
            )
            self.lane.put((session.device, run, None), result)

    async def _record(self, batch: dict[Key, RunOutput | RunResult]) -> None:
        chunks = [one for one in batch.values() if isinstance(one, RunOutput)]
        results = [one for one in batch.values() if isinstance(one, RunResult)]
        if chunks:
            await self._record_output(chunks)
        if results:
            await self._record_results(results)

    async def _record_output(self, chunks: list[RunOutput]) -> None:
        for answer in await self._threads.call_each(self._ledger.output, chunks):
            link = self._register.of(answer.device)
            if link is None:
                continue
            if answer.next < 0:
                link.send(protocol.Stop(str(answer.run), "unknown"))
            else:
                link.send(protocol.OutputAck(str(answer.run), answer.next))

    async def _record_results(self, results: list[RunResult]) -> None:
        acks = await self._threads.call_each(self._ledger.results, results)
        for ack in acks:
            if link := self._register.of(ack.device):
                link.send(protocol.Ack(str(ack.run), ack.state))
        self._claims.want(ack.device for ack in acks)


def _weight(item: RunOutput | RunResult) -> int:
    return 256 + len(item.data) if isinstance(item, RunOutput) else RESULT_WEIGHT
