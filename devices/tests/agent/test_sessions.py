"""Connections break at every step, frames come twice or not at all, and each run still runs once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from devices.agent.journal import Journal
from devices.agent.protocol import (
    CLOSE_FENCED,
    CLOSE_NOT_THE_PROTOCOL,
    Ack,
    AgentFrame,
    Go,
    Heartbeat,
    Hello,
    JournalState,
    Outcome,
    Output,
    Poll,
    Reject,
    RejectCode,
    Result,
    Start,
)

from .conftest import AgentProcess, Gate, eventually
from .fake_runs import journal_of, new_id
from .fake_server import FakeServer


def counting(file: Path, then: str = "echo out") -> dict[str, str]:
    return {"command": f"echo ran >> {file}; {then}"}


def times_run(file: Path) -> int:
    return file.read_text().count("ran") if file.exists() else 0


@pytest.mark.parametrize("heard", [False, True], ids=["unheard", "heard"])
@pytest.mark.parametrize("step", [Hello, Poll, Heartbeat, Start, Output, Result])
async def test_a_line_that_breaks_at_any_step_changes_nothing_but_the_time(
    server: FakeServer,
    agent: AgentProcess,
    gate: Gate,
    tmp_path: Path,
    step: type[AgentFrame],
    heard: bool,
) -> None:
    server.hangs_up_after_taking_it = heard
    if step in (Start, Output):
        server.hangs_up_on = step
    run = await server.do(counting(tmp_path / "ran", f"echo out; {gate.wait}"))
    await server.until(lambda: run.output == b"out\n" or run.state == "lost", "its output")
    if step not in (Start, Output):
        server.hangs_up_on = step
    if step is Hello:
        server.cut()
    if step is not Result:
        await server.until(lambda: server.hangs_up_on is None, "the break")
    gate.open()
    await server.until(lambda: run.result is not None or run.state == "lost", "its end")

    if step is Start and heard:
        # The GO was lost with the line: it may not be given twice, so nothing of it runs.
        assert (run.state, times_run(tmp_path / "ran")) == ("lost", 0)
    else:
        assert (run.state, run.output) == ("succeeded", b"out\n")
        assert times_run(tmp_path / "ran") == 1
    assert server.hangs_up_on is None


async def test_a_rejection_survives_a_broken_line(server: FakeServer, agent: AgentProcess) -> None:
    server.hangs_up_on = Reject
    run = await server.do({}, kind="telepathy")

    await server.until(lambda: run.state == "rejected", "a second rejection")

    assert all(one.code is RejectCode.UNKNOWN_KIND for one in server.frames(Reject, run))


async def test_what_ends_while_the_server_is_away_is_told_when_it_is_back(
    server: FakeServer, agent: AgentProcess, gate: Gate, tmp_path: Path
) -> None:
    run = await server.do(counting(tmp_path / "ran", f"echo before; {gate.wait}; echo after"))
    await server.until(lambda: run.output == b"before\n", "the command")

    await server.close()
    gate.open()
    await eventually(lambda: not agent.shims())
    await server.open()
    result = await server.ended(run)

    assert (result.outcome, run.output) == (Outcome.SUCCEEDED, b"before\nafter\n")
    assert (run.results, times_run(tmp_path / "ran")) == (1, 1)


async def test_start_is_repeated_until_it_is_answered(
    server: FakeServer, agent: AgentProcess, tmp_path: Path
) -> None:
    server.answers_start = False
    run = await server.do(counting(tmp_path / "ran"))
    await server.saw(Start, run, 3)

    server.answers_start = True
    await server.ended(run)

    assert times_run(tmp_path / "ran") == 1


async def test_what_is_answered_is_said_once(server: FakeServer, enrolled: AgentProcess) -> None:
    enrolled.environment["DEPLOYX_AGENT_REPEAT_SECONDS"] = "600"
    await enrolled.start()
    run = await server.do({"command": "exit 3"})
    await server.ended(run)
    await eventually(lambda: run.id in journal(enrolled).tombstones)
    await server.ended(await server.do({"command": "exit 0"}))

    assert (len(server.frames(Start, run)), len(server.frames(Result, run))) == (1, 1)


async def test_a_result_is_repeated_until_it_is_acknowledged(
    server: FakeServer, agent: AgentProcess
) -> None:
    server.acks_result = False
    run = await server.do({"command": "exit 3"})
    await server.saw(Result, run, 3)

    server.acks_result = True
    await eventually(lambda: not journal(agent).entries)

    assert len(set(map(repr, server.frames(Result, run)))) == 1


def journal(agent: AgentProcess) -> Journal:
    return Journal(agent.state.journal, is_only_read=True)


async def test_frames_that_come_twice_count_once(
    server: FakeServer, agent: AgentProcess, gate: Gate, tmp_path: Path
) -> None:
    run = server.run(counting(tmp_path / "ran", f"echo out; {gate.wait}"))
    await server.grant(run)
    await server.grant(run)
    await server.until(lambda: run.output == b"out\n", "the command")
    for frame in (run.grant, Go(run.id, 60), Go(run.id, 60), Ack(run.id, "running")):
        await server.send(frame)

    gate.open()
    await server.ended(run)
    for frame in (Ack(run.id, "succeeded"), Ack(run.id, "succeeded"), Go(run.id, 60)):
        await server.send(frame)
    await server.ended(await server.do({"command": "exit 0"}))

    assert (times_run(tmp_path / "ran"), run.output) == (1, b"out\n")


async def test_a_grant_of_what_was_settled_is_answered_with_its_result(
    server: FakeServer, agent: AgentProcess, tmp_path: Path
) -> None:
    run = await server.do(counting(tmp_path / "ran", "exit 9"))
    first = await server.ended(run)
    await eventually(lambda: run.id in journal(agent).tombstones)

    for _ in range(2):
        said = len(server.frames(Result, run))
        await server.grant(run)
        assert await server.saw(Result, run, said + 1) == first
        await agent.restart()

    assert times_run(tmp_path / "ran") == 1


async def test_a_go_that_was_lost_is_repeated_after_a_poll(
    server: FakeServer, agent: AgentProcess, tmp_path: Path
) -> None:
    server.answers_start = False
    run = await server.do(counting(tmp_path / "ran"))
    await server.saw(Start, run)

    run.state = "running"
    await server.ended(run)

    assert times_run(tmp_path / "ran") == 1


async def test_a_grant_that_was_lost_is_repeated_after_a_poll(
    server: FakeServer, agent: AgentProcess
) -> None:
    run = server.run({"command": "exit 0"})

    run.state = "claimed"

    assert (await server.ended(run)).outcome is Outcome.SUCCEEDED


async def test_no_more_runs_at_once_than_the_server_allows(
    server: FakeServer, enrolled: AgentProcess, gate: Gate
) -> None:
    server.limits = replace(server.limits, max_runs=1)
    await enrolled.start()
    runs = [await server.do({"command": f"echo up; {gate.wait}"}) for _ in range(2)]

    await server.until(lambda: runs[0].output == b"up\n", "the first")
    polls = len(server.frames(Poll))
    await server.saw(Poll, count=polls + 2)
    assert not server.frames(Start, runs[1])
    gate.open()
    gate.open()

    assert (await server.ended(runs[1])).outcome is Outcome.SUCCEEDED


async def test_a_run_the_server_has_ended_is_killed_and_settled(
    server: FakeServer, agent: AgentProcess
) -> None:
    run = await server.do({"command": "echo up; sleep 600"})
    await server.until(lambda: run.output == b"up\n", "the command")

    run.state = "cancelled"
    await server.reconnected(server.cut)

    await eventually(lambda: not agent.shims() and run.id in journal(agent).tombstones)
    assert not server.frames(Result, run)


async def test_a_run_unknown_to_the_server_goes_on_and_is_kept(
    server: FakeServer, agent: AgentProcess, gate: Gate
) -> None:
    run = await server.do({"command": f"echo up; {gate.wait}; echo done"})
    await server.until(lambda: run.output == b"up\n", "the command")

    del server.runs[run.id]
    hello = await server.reconnected(server.cut)
    assert journal_of(hello) == {run.id: JournalState.GO}
    beats = len(server.frames(Heartbeat))
    await server.saw(Heartbeat, count=beats + 4)
    assert len(agent.shims()) == 1
    gate.open()
    await eventually(lambda: not agent.shims())
    server.runs[run.id] = run
    await server.reconnected(server.cut)

    assert (await server.ended(run)).outcome is Outcome.SUCCEEDED
    assert run.output == b"up\ndone\n"


async def test_a_lost_run_is_settled_by_the_devices_evidence(
    server: FakeServer, agent: AgentProcess, gate: Gate
) -> None:
    run = await server.do({"command": f"echo up; {gate.wait}"})
    await server.until(lambda: run.output == b"up\n", "the command")

    run.state = "lost"
    await server.reconnected(server.cut)
    gate.open()
    await server.ended(run)

    assert run.state == "succeeded"


async def test_the_devices_wall_clock_decides_nothing(
    server: FakeServer, enrolled: AgentProcess
) -> None:
    server.time_shift = timedelta(days=3_650)
    await enrolled.start()

    fine = await server.do({"command": "exit 0"})
    late = await server.do({"command": "exit 0"}, not_after=server.now - timedelta(hours=1))

    assert (await server.ended(fine)).outcome is Outcome.SUCCEEDED
    assert (await server.refused(late)).code is RejectCode.TOO_LATE


async def test_a_full_disk_is_said_before_anything_is_claimed(
    server: FakeServer, enrolled: AgentProcess
) -> None:
    enrolled.environment["DEPLOYX_AGENT_MIN_FREE_BYTES"] = "1e18"
    await enrolled.start()

    run = await server.do({"command": "exit 0"})

    assert (await server.refused(run)).code is RejectCode.DISK_FULL


async def test_heartbeats_tell_how_many_runs_are_under_way(
    server: FakeServer, agent: AgentProcess, gate: Gate
) -> None:
    run = await server.do({"command": f"echo up; {gate.wait}"})

    def told() -> list[int]:
        return [one.running for one in server.frames(Heartbeat)[-1:]]

    await server.until(lambda: told() == [1], "a count of one")
    gate.open()
    await server.ended(run)
    await server.until(lambda: told() == [0], "a count of none")


async def test_polls_say_what_is_held(server: FakeServer, agent: AgentProcess, gate: Gate) -> None:
    run = await server.do({"command": f"echo up; {gate.wait}"})

    def held() -> list[list[tuple[str, str]]]:
        return [[(one.run, one.state) for one in poll.holding] for poll in server.frames(Poll)[-1:]]

    await server.until(lambda: held() == [[(run.id, "go")]], "the run")
    gate.open()
    await server.until(lambda: held() == [[]], "nothing")


async def test_a_session_the_server_does_not_hold_is_left(
    server: FakeServer, agent: AgentProcess
) -> None:
    def contest() -> None:
        server.session_ok = False

    await server.reconnected(contest)

    server.session_ok = True
    assert (await server.ended(await server.do({"command": "exit 0"}))).exit_code == 0


async def test_one_that_was_fenced_comes_back(server: FakeServer, agent: AgentProcess) -> None:
    sessions = len(server.hellos)

    await server.hang_up(CLOSE_FENCED)

    await server.until(lambda: len(server.hellos) > sessions, "a new session")


@pytest.mark.parametrize(
    "text", ['{"type":"telepathy"}', "[]", '{"type":"go"}', b'{"type":"cancel"}']
)
async def test_what_is_not_the_protocol_ends_the_connection(
    server: FakeServer, agent: AgentProcess, text: str | bytes
) -> None:
    await server.send_text(text)

    await server.until(lambda: server.closed_with == [CLOSE_NOT_THE_PROTOCOL], "the end")
    await server.until(lambda: len(server.hellos) == 2, "a new session")


async def test_nothing_is_said_to_another_server(
    server: FakeServer, enrolled: AgentProcess
) -> None:
    server.told_server_id = new_id()
    await enrolled.launch()
    await server.until(lambda: len(server.closed_with) >= 2, "two refusals")
    assert server.hellos == []

    server.told_server_id = ""

    await server.until(lambda: bool(server.hellos), "the agent")


async def test_the_first_words_tell_who_the_device_is(
    server: FakeServer, agent: AgentProcess
) -> None:
    [hello] = server.hellos

    assert hello.protocol == "deployx.v1"
    assert hello.facts["os"] == "linux"
    assert hello.facts["kinds"] == ["command", "file_deployment", "software_deployment"]
    assert {"hostname", "architecture", "boot_id", "agent_version"} <= set(hello.facts)


async def test_a_run_granted_in_one_session_and_started_in_the_next_runs_once(
    server: FakeServer, agent: AgentProcess, tmp_path: Path
) -> None:
    server.answers_start = False
    run = await server.do(counting(tmp_path / "ran"))
    await server.saw(Start, run)

    hello = await server.reconnected(server.cut)
    assert journal_of(hello) == {run.id: JournalState.CLAIMED}
    server.answers_start = True
    await server.ended(run)

    assert times_run(tmp_path / "ran") == 1


async def test_a_cancel_that_was_lost_arrives_with_a_heartbeat(
    server: FakeServer, agent: AgentProcess
) -> None:
    run = await server.do({"command": "echo up; sleep 600"})
    await server.until(lambda: run.output == b"up\n", "the command")

    server.cancels.add(run.id)

    assert (await server.ended(run)).outcome is Outcome.CANCELLED
