"""Which server keys an agent follows, and what it answers a server that was restored."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
from dataclasses import replace

from devices.agent import protocol
from devices.agent.identity import load_server
from devices.agent.protocol import (
    Evidence,
    JournalEntry,
    JournalState,
    Outcome,
    Recall,
    Recalled,
    RejectCode,
    ServerKey,
    decode_from_agent,
    encode,
)
from devices.agent.session import parts

from .conftest import ROOT, AgentProcess, Gate, eventually
from .fake_runs import new_id
from .fake_server import FakeServer


async def test_after_a_rotation_the_new_key_counts_and_the_old_one_does_not(
    server: FakeServer, agent: AgentProcess
) -> None:
    old = server.run({"command": "exit 0"})
    server.rotate()
    server.rotate()
    await server.reconnected(server.cut)

    await server.grant(old)
    new = await server.do({"command": "exit 0"})

    assert (await server.refused(old)).code is RejectCode.BAD_SIGNATURE
    assert (await server.ended(new)).outcome is Outcome.SUCCEEDED
    assert load_server(agent.state).key_id == server.key_id


async def test_what_was_claimed_under_the_old_key_still_runs(
    server: FakeServer, agent: AgentProcess
) -> None:
    server.answers_start = False
    run = await server.do({"command": "exit 0"})
    await server.saw(protocol.Start, run)

    server.rotate()
    await server.reconnected(server.cut)
    server.answers_start = True

    assert (await server.ended(run)).outcome is Outcome.SUCCEEDED


async def test_keys_that_do_not_lead_back_to_the_pinned_one_may_run_nothing(
    server: FakeServer, agent: AgentProcess
) -> None:
    pinned = load_server(agent.state)
    server.private_key = protocol.new_private_key()
    public = protocol.public_key_of(server.private_key)
    server.keys = (ServerKey(protocol.key_id(public), public),)
    await server.reconnected(server.cut)

    run = await server.do({"command": "exit 0"})

    assert (await server.refused(run)).code is RejectCode.BAD_SIGNATURE
    assert load_server(agent.state) == pinned


async def test_a_person_can_pin_a_key_by_hand(server: FakeServer, agent: AgentProcess) -> None:
    server.private_key = protocol.new_private_key()
    public = protocol.public_key_of(server.private_key)
    server.keys = (ServerKey(protocol.key_id(public), public),)

    said = await asyncio.to_thread(trust, agent, public)
    await server.reconnected(server.cut)

    assert protocol.fingerprint(public) in said
    run = await server.do({"command": "exit 0"})
    assert (await server.ended(run)).outcome is Outcome.SUCCEEDED


def trust(agent: AgentProcess, key: bytes) -> str:
    by_hand = (sys.executable, "-m", "devices.agent", "trust", base64.b64encode(key).decode())
    done = subprocess.run(
        [*by_hand, "--state-dir", str(agent.state.path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


async def test_a_restored_server_is_told_from_journal_and_tombstones(
    server: FakeServer, agent: AgentProcess, gate: Gate
) -> None:
    settled = await server.do({"command": "exit 4"})
    await server.ended(settled)
    running = await server.do({"command": f"echo up; {gate.wait}"})
    await server.until(lambda: running.output == b"up\n", "the command")
    await eventually(lambda: len(agent.shims()) == 1)

    server.before_welcome = [Recall((settled.id, running.id, new_id()))]
    await server.reconnected(server.cut)
    [answer] = server.frames(Recalled)
    gate.open()
    await server.ended(running)

    told = {entry.run: entry for entry in answer.journal}
    assert set(told) == {settled.id, running.id}
    assert told[running.id].state is JournalState.GO
    evidence = told[settled.id].result
    assert evidence is not None
    assert (evidence.outcome, evidence.exit_code) == (Outcome.FAILED, 4)
    assert not answer.more


def test_a_long_answer_comes_in_frames_that_fit() -> None:
    evidence = Evidence(Outcome.FAILED, 1, {"summary": "x" * 9_000}, 0, "ab" * 32)
    entries = [JournalEntry(new_id(), JournalState.ENDED, evidence) for _ in range(40)]
    entries[7] = replace(entries[7], state=JournalState.GO, result=None)

    frames = list(parts(entries))

    assert [frame.more for frame in frames] == [True] * (len(frames) - 1) + [False]
    assert [entry for frame in frames for entry in frame.journal] == entries
    assert all(decode_from_agent(encode(frame)) == frame for frame in frames)


def test_nothing_to_tell_is_told_in_one_frame() -> None:
    assert list(parts([])) == [Recalled((), False)]
