"""An agent that is killed, stopped or finds its journal damaged: nothing runs twice, nothing
that ran is forgotten."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from devices.agent.journal import Journal
from devices.agent.protocol import (
    Giveback,
    Hello,
    JournalState,
    Outcome,
    Poll,
    Result,
    Start,
)

from .conftest import AgentProcess, Gate, eventually
from .fake_runs import Run, journal_of
from .fake_server import FakeServer


async def under_way(server: FakeServer, gate: Gate, file: Path) -> Run:
    """A run that has said `before` and, let on, says `after` and ends with exit code 5."""
    command = f"echo ran >> {file}; echo before; {gate.wait}; echo after; exit 5"
    run = await server.do({"command": command})
    await server.until(lambda: run.output == b"before\n", "the command")
    return run


async def is_told_once(server: FakeServer, run: Run, file: Path) -> None:
    result = await server.ended(run)

    assert (result.outcome, result.exit_code) == (Outcome.FAILED, 5)
    assert (run.output, result.output_length) == (b"before\nafter\n", 13)
    assert (run.results, lines(file)) == (1, ["ran"])


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


async def test_killed_in_mid_command_it_comes_back_to_the_running_command(
    server: FakeServer, agent: AgentProcess, gate: Gate, tmp_path: Path
) -> None:
    run = await under_way(server, gate, tmp_path / "ran")

    [shim] = agent.shims()
    assert os.getsid(shim) == shim
    await agent.kill()
    assert agent.shims() == [shim]
    await agent.start()
    assert journal_of(server.hellos[-1]) == {run.id: JournalState.GO}
    gate.open()

    await is_told_once(server, run, tmp_path / "ran")


async def test_what_ended_while_the_agent_was_dead_is_told_when_it_comes_back(
    server: FakeServer, agent: AgentProcess, gate: Gate, tmp_path: Path
) -> None:
    run = await under_way(server, gate, tmp_path / "ran")

    await agent.kill()
    gate.open()
    await eventually(lambda: not agent.shims())
    await agent.start()

    await is_told_once(server, run, tmp_path / "ran")


async def test_killed_over_and_over_it_still_tells_once(
    server: FakeServer, agent: AgentProcess, gate: Gate, tmp_path: Path
) -> None:
    run = await under_way(server, gate, tmp_path / "ran")

    for _ in range(4):
        await agent.restart()
    gate.open()
    await agent.restart()

    await is_told_once(server, run, tmp_path / "ran")


async def test_killed_before_the_server_had_the_result_it_tells_it_in_its_hello(
    server: FakeServer, agent: AgentProcess
) -> None:
    server.acks_result = False
    run = await server.do({"command": "exit 5"})
    await server.saw(Result, run, 2)

    await agent.restart()

    assert journal_of(server.hellos[-1]) == {run.id: JournalState.ENDED}
    assert server.hellos[-1].journal[0].result is not None
    assert server.hellos[-1].journal[0].result.exit_code == 5
    await eventually(lambda: run.id in Journal(agent.state.journal, is_only_read=True).tombstones)


async def claimed_and_killed(server: FakeServer, agent: AgentProcess, file: Path) -> Run:
    server.answers_start = False
    run = await server.do({"command": f"echo ran >> {file}"})
    await server.saw(Start, run)
    await agent.kill()
    server.answers_start = True
    return run


async def test_killed_before_go_it_asks_again_and_starts_once(
    server: FakeServer, agent: AgentProcess, tmp_path: Path
) -> None:
    run = await claimed_and_killed(server, agent, tmp_path / "ran")
    assert not (tmp_path / "ran").exists()

    await agent.start()
    assert journal_of(server.hellos[-1]) == {run.id: JournalState.CLAIMED}
    await server.ended(run)

    assert (tmp_path / "ran").read_text() == "ran\n"


async def test_killed_before_go_it_does_not_start_what_was_cancelled_meanwhile(
    server: FakeServer, agent: AgentProcess, tmp_path: Path
) -> None:
    run = await claimed_and_killed(server, agent, tmp_path / "ran")
    run.state = "cancelled"

    await agent.start()
    await server.saw(Poll, count=2)

    await nothing_of_it_is_left(server, agent, run, tmp_path / "ran")


async def test_a_go_that_was_lost_with_the_agent_is_never_made_up_for(
    server: FakeServer, agent: AgentProcess, tmp_path: Path
) -> None:
    run = await claimed_and_killed(server, agent, tmp_path / "ran")
    run.state = "running"

    await agent.start()
    await server.saw(Poll, count=2)

    assert run.state == "lost"
    await nothing_of_it_is_left(server, agent, run, tmp_path / "ran")


async def nothing_of_it_is_left(
    server: FakeServer, agent: AgentProcess, run: Run, file: Path
) -> None:
    later = await server.do({"command": "exit 0"})
    await server.ended(later)
    journal = Journal(agent.state.journal, is_only_read=True)
    assert lines(file) == []
    assert run.id not in {*journal.entries, *journal.tombstones}


async def test_the_journal_knows_of_a_run_before_it_exists(
    server: FakeServer, agent: AgentProcess
) -> None:
    own_lines = f"grep $DEPLOYX_RUN_ID {agent.state.journal} | grep -o 'do\":\"[a-z]*'"

    run = await server.do({"command": own_lines})
    await server.ended(run)

    assert run.output.split() == [b'do":"claim', b'do":"go', b'do":"spawned']


async def test_a_run_whose_shim_was_killed_is_unknown(
    server: FakeServer, agent: AgentProcess, gate: Gate, tmp_path: Path
) -> None:
    run = await under_way(server, gate, tmp_path / "ran")

    [shim] = agent.shims()
    os.kill(shim, signal.SIGKILL)
    result = await server.ended(run)
    gate.open()

    assert (result.outcome, result.exit_code) == (Outcome.UNKNOWN, None)
    assert run.output == b"before\n"


async def test_a_run_that_died_with_the_machine_is_unknown_once(
    server: FakeServer, agent: AgentProcess, gate: Gate, tmp_path: Path
) -> None:
    run = await under_way(server, gate, tmp_path / "ran")
    shims = agent.shims()
    await agent.kill()
    os.kill(shims[0], signal.SIGKILL)
    gate.open()

    await agent.start()
    result = await server.ended(run)

    assert (result.outcome, run.state, run.results) == (Outcome.UNKNOWN, "lost", 1)
    assert (tmp_path / "ran").read_text() == "ran\n"


async def test_told_to_stop_it_gives_back_what_has_not_begun_and_leaves_the_rest_running(
    server: FakeServer, enrolled: AgentProcess, gate: Gate, tmp_path: Path
) -> None:
    agent = enrolled
    agent.patience["client._GIVE_BACK_SECONDS"] = 60
    await agent.start()
    running = await under_way(server, gate, tmp_path / "ran")
    server.answers_start = False
    claimed = await server.do({"command": "exit 0"})
    await server.saw(Start, claimed)

    code = await agent.end(signal.SIGTERM)

    assert code == 0
    assert {one.run for one in server.frames(Giveback)} == {claimed.id}
    assert server.frames(Giveback)[0].session == server.session
    assert claimed.state == "queued"
    assert len(agent.shims()) == 1
    assert set(Journal(agent.state.journal, is_only_read=True).entries) == {running.id}
    server.answers_start = True
    await agent.start()
    gate.open()
    await is_told_once(server, running, tmp_path / "ran")
    assert (await server.ended(claimed)).outcome is Outcome.SUCCEEDED


async def test_two_agents_do_not_share_a_state_directory(
    server: FakeServer, agent: AgentProcess, capfd: object
) -> None:
    second = AgentProcess(agent.state, server)

    await second.launch()

    assert await second.ended() == 2
    said = capfd.readouterr().err  # type: ignore[attr-defined]
    assert f"another agent is running in {agent.state.path}" in said
    assert (await server.ended(await server.do({"command": "exit 0"}))).exit_code == 0


async def test_a_line_torn_by_a_power_cut_is_cut(
    server: FakeServer, agent: AgentProcess, gate: Gate, tmp_path: Path
) -> None:
    run = await under_way(server, gate, tmp_path / "ran")
    await agent.kill()
    with agent.state.journal.open("ab") as file:
        file.write(b'0123456789abcdef {"do":"erase","run":"')

    await agent.start()
    gate.open()

    await is_told_once(server, run, tmp_path / "ran")


async def test_with_a_damaged_journal_it_reports_and_starts_nothing_new(
    server: FakeServer, agent: AgentProcess, gate: Gate, tmp_path: Path
) -> None:
    run = await under_way(server, gate, tmp_path / "ran")
    await agent.kill()
    data = bytearray(agent.state.journal.read_bytes())
    data[40] ^= 1
    agent.state.journal.write_bytes(data)

    await agent.start()
    new = await server.do({"command": f"touch {tmp_path}/new"})
    await server.saw(Giveback, new)
    gate.open()

    await is_told_once(server, run, tmp_path / "ran")
    assert server.hellos[-1].facts["journal_damaged"] is True
    assert not server.frames(Poll)[-1].ready
    assert not (tmp_path / "new").exists()
    assert (server.frames(Start, new), new.state) == ([], "queued")


async def test_it_may_have_nothing_more_to_do_with_runs_that_are_settled(
    server: FakeServer, agent: AgentProcess
) -> None:
    run = await server.do({"command": "echo out"})
    await server.ended(run)
    await eventually(lambda: not any(agent.state.runs.iterdir()))

    await agent.restart()

    assert server.frames(Hello)[-1].journal == ()
    assert run.id in Journal(agent.state.journal, is_only_read=True).tombstones
