"""From GO to evidence: starts shims, finds them again after a restart, judges how they ended."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Callable, Coroutine
from hashlib import sha256
from pathlib import Path
from typing import Any

from . import cgroups, details, kinds
from .config import Settings, StateDir
from .grants import Order
from .journal import Entry, Journal, JournalFull
from .protocol import (
    MAX_DETAIL_BYTES,
    Evidence,
    JournalState,
    Outcome,
    ProtocolError,
    Terms,
    encode_time,
    parse_terms,
)
from .protocol.fields import JsonObject, free_object
from .runner import CannotSpawn, Ending, Runner
from .shim import SPOOL, Work
from .spool import SpoolReader
from .transfers import Transfers

log = logging.getLogger("deployx_agent.supervisor")

_DETAIL = free_object(MAX_DETAIL_BYTES)


class Supervisor:
    """`ended(run)` is called when the journal has the run's evidence, `fail` with whatever must
    end the agent. Neither shims nor the waiting for them need a connection."""

    def __init__(
        self,
        state: StateDir,
        settings: Settings,
        journal: Journal,
        ended: Callable[[str], None],
        fail: Callable[[BaseException], None],
        transfers: Transfers,
    ) -> None:
        self._transfers = transfers
        self._state = state
        self._journal = journal
        self._settings = settings
        self._ended = ended
        self._fail = fail
        self._runner = Runner()
        self._tasks: set[asyncio.Task[None]] = set()
        self._cancelled_early: set[str] = set()

    def adopt(self) -> None:
        """Wait for every run the journal says go for; one whose shim is gone ends at once."""
        for entry in self._journal.entries.values():
            if entry.state is JournalState.GO:
                self._begin(self._watch(entry))

    def launch(self, entry: Entry, order: Order, timeout_seconds: int, spool_bytes: int) -> None:
        """The journal says go. The time limit counts from now."""
        deadline = time.monotonic() + timeout_seconds
        work = Work(
            run=entry.run,
            kind=order.terms.kind,
            payload=order.payload,
            run_as=order.terms.run_as,
            environment=run_variables(order.terms),
            deadline=deadline,
            spool_bytes=spool_bytes,
            grace_seconds=self._settings.kill_grace_seconds,
            memory=str(self._state.memory(order.terms.kind)),
            min_free_bytes=self._settings.min_free_bytes,
        )
        self._begin(self._run(entry, work))

    def call_off(self, entry: Entry, outcome: Outcome, summary: str) -> None:
        """End a run that was given its go and of which nothing is to be started."""
        self._begin(self._conclude(entry, Ending(outcome, None, {"summary": summary})))

    def cancel(self, entry: Entry) -> None:
        if entry.evidence is not None:
            return
        if entry.shim is None:
            self._cancelled_early.add(entry.run)
        else:
            self._runner.cancel(entry.shim, self.folder(entry.run))

    def clean(self, run: str) -> None:
        """Remove what a run left on the disk, once nobody will ask for it again."""
        shutil.rmtree(self.folder(run), ignore_errors=True)

    def sweep(self) -> None:
        """Remove folders of runs the journal does not hold."""
        for folder in self._state.runs.iterdir():
            if folder.name not in self._journal.entries:
                shutil.rmtree(folder, ignore_errors=True)
        self._transfers.sweep()
        cgroups.sweep()

    def folder(self, run: str) -> Path:
        return self._state.run(run)

    async def close(self) -> None:
        """Stop waiting. The shims live on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, entry: Entry, work: Work) -> None:
        try:
            mark = self._runner.prepare(self.folder(entry.run))
        except CannotSpawn as problem:
            said = {"summary": f"the device could not start a process: {problem}"}
            await self._conclude(entry, Ending(Outcome.FAILED, None, said))
            return
        await self._recorded(lambda: self._journal.spawned(entry.run, mark))
        if entry.run in self._cancelled_early:
            self._runner.cancel(mark, self.folder(entry.run))
        await self._runner.release(mark, work)
        await self._watch(entry)

    async def _watch(self, entry: Entry) -> None:
        folder = self.folder(entry.run)
        async with self._transfers.serving(entry.run, folder, _files(entry)):
            ending = await self._runner.end(entry.shim, folder)
        if ending.outcome is not Outcome.SUCCEEDED:
            await asyncio.to_thread(self._abandon, entry)
        await self._conclude(entry, ending)

    def _abandon(self, entry: Entry) -> None:
        """Lets the kind undo what a run left half done, if it did: its process was killed, or was
        stopped and could not wait for it."""
        if entry.terms is None:
            return
        name = parse_terms(entry.terms).kind
        try:
            kinds.get(name).abandoned(entry.run, self._state.memory(name))
        except Exception:
            log.exception("run %s: what it left half done stays so", entry.run)

    async def _conclude(self, entry: Entry, ending: Ending) -> None:
        evidence, end = await asyncio.to_thread(_judge, ending, self.folder(entry.run) / SPOOL)
        is_known = ending.outcome is not Outcome.UNKNOWN
        state = JournalState.ENDED if is_known else JournalState.UNKNOWN
        await self._recorded(lambda: self._journal.ended(entry.run, state, evidence, end))
        self._cancelled_early.discard(entry.run)
        log.info("run %s ended: %s", entry.run, ending.outcome)
        self._ended(entry.run)

    async def _recorded(self, write: Callable[[], None]) -> None:
        """Nothing goes on before the journal has it; a full disk may get room again."""
        while True:
            try:
                write()
                return
            except JournalFull as problem:
                log.error("the journal has no room: %s", problem)
                await asyncio.sleep(self._settings.repeat_seconds)

    def _begin(self, course: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(course)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            self._fail(problem)


def _files(entry: Entry) -> tuple[str, ...]:
    return () if entry.terms is None else parse_terms(entry.terms).files


def run_variables(terms: Terms) -> dict[str, str]:
    """What every program of a run finds in its environment."""
    scheduled = terms.scheduled_for
    return {
        "DEPLOYX_RUN_ID": terms.run,
        "DEPLOYX_EXECUTION_ID": terms.execution,
        "DEPLOYX_TASK_ID": terms.task or "",
        "DEPLOYX_SCHEDULED_FOR": "" if scheduled is None else encode_time(scheduled),
        "DEPLOYX_ATTEMPT": str(terms.attempt),
    }


def _judge(ending: Ending, spool: Path) -> tuple[Evidence, int]:
    """The evidence, and where the output ends."""
    reader = SpoolReader(spool)
    try:
        begin, end, is_whole = reader.survey()
        length, digest = _of_output(ending, reader, begin, is_whole and end == ending.spool_end)
    finally:
        reader.close()
    detail = _tellable(ending.detail)
    evidence = Evidence(ending.outcome, ending.exit_code, detail, length, digest)
    return evidence, max(ending.output_end, end)


def _tellable(detail: JsonObject) -> JsonObject:
    """As the journal and the server take it, whatever a shim of any version left."""
    try:
        fitted = details.fit(detail)
        _DETAIL.decode("detail", fitted)
    except (ProtocolError, RecursionError) as problem:
        log.error("no more than its summary is told of a run: %s", problem)
        return details.fit({"summary": detail.get("summary")})
    return fitted


def _of_output(ending: Ending, reader: SpoolReader, begin: int, is_whole: bool) -> tuple[int, str]:
    """Length and SHA-256 of what was and will be sent. Of what was released without the shim having
    counted it, and of a spool somebody has damaged, nobody can tell: then it is as if empty."""
    if is_whole and ending.output_sha256:
        return ending.output_length, ending.output_sha256
    return reader.summary() if begin == 0 else (0, sha256().hexdigest())
