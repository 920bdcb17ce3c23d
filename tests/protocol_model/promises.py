"""P1 to P7 of docs/protocol.md, as what must hold of each state and of each move."""

from __future__ import annotations

from collections.abc import Iterator

from tests.protocol_model.machine import ALIVE, EXITED, STRAY
from tests.protocol_model.server import ENDED, UNSTARTED, Row
from tests.protocol_model.states import Move, World


def broken(before: World, move: Move, is_faultless: bool) -> Iterator[str]:
    """What the move has broken, each beginning with the promise's name. `is_faultless`: until now
    frames were lost or doubled, and nothing else went wrong."""
    world = move.world
    if move.refused:
        yield f"the database refused what `{move.refused}` wanted to do"
    for run, (row, truth) in enumerate(zip(world.rows, world.truths, strict=True)):
        if truth.starts > 1:
            yield f"P1: run {run} was started twice"
        if row.never_ran and truth.starts and not world.device_row.in_recovery:
            yield f"P3: run {run} has run and is {row.status}"
        if row.status in ("succeeded", "failed", "timed_out"):
            yield from _told_by_journal(run, row, truth.outcomes)
        if move.what != "the backup is restored":
            yield from _kept(run, before.rows[run], row)
    for run in {*move.gos, *_began(before, world)}:
        yield from _may_start(run, before)
    yield from _unknown_is_true(before, world)
    if is_faultless:
        for run, row in enumerate(world.rows):
            if row.status == "lost" or row.was_lost:
                yield f"P2: run {run} is lost, and nothing had failed"


def _told_by_journal(run: int, row: Row, outcomes: frozenset[str]) -> Iterator[str]:
    # A kill nobody had asked for is a failure to the server.
    told = outcomes | ({"failed"} if "cancelled" in outcomes else set())
    if row.status not in told:
        yield f"P4: run {run} is {row.status}, and its device's journal never said so"


def _kept(run: int, before: Row, after: Row) -> Iterator[str]:
    if before.status in ENDED and before != after:
        yield f"P7: run {run} had ended {before.status}, and now it is {after.status}"
    if before.status == "running" and after.status in UNSTARTED:
        yield f"P1: run {run} had its GO, and now it is {after.status} and may be given another"
    if after.status == "cancelled" != before.status and not after.is_cancel_asked:
        yield f"P4: run {run} is cancelled, and nobody had asked for it"
    if before.status == "lost" and after.status not in ENDED | {"lost"}:
        yield f"P5: run {run} was lost, and now it is {after.status} again"
    if before.was_lost and not after.was_lost:
        yield f"P5: run {run} was lost, and its row has forgotten it"


def _began(before: World, after: World) -> Iterator[int]:
    """What the server calls started from now on; in recovery the device's journal has said so."""
    if not before.device_row.in_recovery:
        for run, (was, now) in enumerate(zip(before.rows, after.rows, strict=True)):
            if was.status in UNSTARTED and now.status == "running":
                yield run


def _may_start(run: int, before: World) -> Iterator[str]:
    if before.is_late:
        yield f"P3: run {run} got its GO after its last permitted start"
    if before.rows[run].is_cancel_asked:
        yield f"P3: run {run} got its GO after it was to be cancelled"
    if before.device_row.is_revoked:
        yield f"P3: run {run} got its GO after its device was revoked"
    if before.device_row.in_recovery:
        yield f"P1: run {run} got its GO before the device had told what it knows"
    if before.rows[run].status == "lost":
        yield f"P5: run {run} was lost and got a GO"


def _unknown_is_true(before: World, after: World) -> Iterator[str]:
    """A device says `unknown` only where neither a process nor an exit record is left."""
    is_second = after.other is not None and after.other != before.other
    acted = after.other if is_second and after.other else after.device
    for run, (was, now) in enumerate(zip(before.truths, after.truths, strict=True)):
        process = acted.processes[run]
        if "unknown" in now.outcomes - was.outcomes and (
            process in ALIVE - {STRAY} or process.startswith(EXITED)
        ):
            yield f"P5: the device calls run {run} unknown, and its process is {process}"
