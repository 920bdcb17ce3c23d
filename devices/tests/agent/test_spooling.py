"""Real commands whose output meets a full, damaged or vanished spool: they never come to feel it,
and what arrives is exact or marked."""

from __future__ import annotations

import asyncio
import hashlib
import resource
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from devices.agent.protocol import Outcome, Output

from .conftest import AgentProcess, Gate, eventually
from .fake_runs import Run
from .fake_server import FakeServer

SPOOL = 1024 * 1024
PIECE = 250_000
ROUNDS = 12


def rounds(gate: Gate, file: Path, number: int = ROUNDS) -> dict[str, str]:
    """Writes a piece, and waits for the gate, so many times."""
    each = f"head -c {PIECE} /dev/urandom | tee -a {file}; {gate.wait}"
    return {"command": f"i=0; while [ $i -lt {number} ]; do {each}; i=$((i+1)); done"}


def is_marked_exactly(server: FakeServer, run: Run, written: bytes) -> bool:
    """Whether each byte arrived, or lies in a gap that the frames tell of."""
    gaps = {f.offset - f.skipped: f.skipped for f in server.frames(Output, run) if f.skipped}
    kept, at = b"", 0
    for begin, skipped in sorted(gaps.items()):
        kept += written[at:begin]
        at = begin + skipped
    return run.output == kept + written[at:]


async def small(enrolled: AgentProcess, server: FakeServer) -> None:
    server.limits = replace(server.limits, spool_bytes=SPOOL, output_bytes_per_second=10**8)
    await enrolled.start()


async def test_a_run_may_write_far_more_than_the_spool_holds_while_the_server_listens(
    server: FakeServer, enrolled: AgentProcess, gate: Gate, tmp_path: Path
) -> None:
    await small(enrolled, server)
    run = await server.do(rounds(gate, tmp_path / "all"))
    for number in range(1, ROUNDS + 1):
        await server.until(reached(run, number * PIECE), f"piece {number}")
        if number == ROUNDS // 2:
            await enrolled.restart()
        gate.open()
    result = await server.ended(run)

    written = (tmp_path / "all").read_bytes()
    assert len(written) == ROUNDS * PIECE > 2 * SPOOL
    assert (run.output, run.skipped) == (written, 0)
    assert result.output_length == len(written)
    assert result.output_sha256 == hashlib.sha256(written).hexdigest()


async def test_the_spool_never_grows_past_its_size(
    server: FakeServer, enrolled: AgentProcess, gate: Gate, tmp_path: Path
) -> None:
    await small(enrolled, server)
    server.takes_output.clear()
    run = await server.do(rounds(gate, tmp_path / "all"))
    spool = enrolled.state.run(run.id) / "spool"
    for number in range(1, ROUNDS + 1):
        await eventually(grown(tmp_path / "all", number * PIECE))
        gate.open()
    await eventually(lambda: not enrolled.shims())
    assert sum(one.stat().st_size for one in spool.iterdir()) <= SPOOL + 64 * 1024
    server.takes_output.set()
    await server.ended(run)
    assert is_marked_exactly(server, run, (tmp_path / "all").read_bytes())


def reached(run: Run, number: int) -> Callable[[], bool]:
    return lambda: run.next >= number


def grown(file: Path, size: int) -> Callable[[], bool]:
    return lambda: _size(file) == size


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


async def test_a_full_disk_costs_output_that_is_counted_and_not_the_command(
    server: FakeServer, agent: AgentProcess, gate: Gate, tmp_path: Path
) -> None:
    run = await server.do(rounds(gate, tmp_path / "all", 2))
    await server.until(lambda: run.next == PIECE, "the first piece")
    [shim] = agent.shims()
    room = PIECE + 100_000  # of each file it writes, as when so much is left on the disk
    resource.prlimit(shim, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    gate.open()
    await eventually(lambda: _size(tmp_path / "all") == 2 * PIECE)
    gate.open()
    result = await server.ended(run)

    assert result.outcome is Outcome.SUCCEEDED
    assert run.next == 2 * PIECE
    assert is_marked_exactly(server, run, (tmp_path / "all").read_bytes())
    assert result.output_length == len(run.output)
    assert result.output_sha256 == hashlib.sha256(run.output).hexdigest()


async def test_a_spool_that_was_deleted_is_a_gap_and_the_run_ends_as_it_ended(
    server: FakeServer, agent: AgentProcess, gate: Gate, tmp_path: Path
) -> None:
    server.takes_output.clear()
    run = await server.do(rounds(gate, tmp_path / "all", 1))
    await eventually(lambda: _size(tmp_path / "all") == PIECE)
    await agent.kill()
    shutil.rmtree(agent.state.run(run.id) / "spool")
    gate.open()
    await eventually(lambda: not agent.shims())
    server.takes_output.set()
    await agent.start()
    result = await server.ended(run)

    assert result.outcome is Outcome.SUCCEEDED
    assert (run.next, len(run.output) + run.skipped) == (PIECE, PIECE)
    assert is_marked_exactly(server, run, (tmp_path / "all").read_bytes())


async def test_a_server_that_is_cut_off_in_mid_stream_gets_each_byte_once(
    server: FakeServer, agent: AgentProcess, tmp_path: Path
) -> None:
    total = 3_000_000
    server.limits = replace(server.limits, output_bytes_per_second=10**8)
    await agent.restart()
    run = await server.do({"command": f"head -c {total} /dev/urandom | tee {tmp_path}/all"})
    for share in range(1, 5):
        await server.until(reached(run, share * total // 6), "some of it")
        await server.reconnected(server.cut)
    async with asyncio.timeout(60):
        result = await server.ended(run)

    assert (run.output, run.skipped) == ((tmp_path / "all").read_bytes(), 0)
    assert result.output_sha256 == hashlib.sha256(run.output).hexdigest()
