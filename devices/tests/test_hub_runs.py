"""Runs between agents and the ledger: repeats, refusals, and what happens when either is away."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from django.db import OperationalError
from structlog.testing import capture_logs

from devices import sessions
from devices.agent import protocol
from devices.ledger_port import Session
from devices.models import Device
from devices.tests.conftest import Web, in_thread, make_agent, until
from devices.tests.fakes import FakeAgent, FakeRun
from devices.tests.test_hub import EMPTY_SHA256, result

CLAIMED = protocol.JournalState.CLAIMED


def output(run: FakeRun, offset: int, data: bytes) -> protocol.Output:
    return protocol.Output(str(run.id), offset, protocol.Stream.STDOUT, data)


async def granted(web: Web, agent: FakeAgent) -> FakeRun:
    """A run that the agent was granted."""
    run = web.ledger.add(agent.device)
    web.hub.wake()
    assert (await agent.receive(protocol.Grant)).run == str(run.id)
    return run


async def started(web: Web, agent: FakeAgent) -> FakeRun:
    run = await granted(web, agent)
    await agent.send(protocol.Start(str(run.id)))
    await agent.receive(protocol.Go)
    return run


@pytest.fixture
async def agent(web: Web) -> FakeAgent:
    return await web.connect(await make_agent())


async def test_a_grant_that_was_lost_comes_again_with_the_poll(web: Web, agent: FakeAgent) -> None:
    run = await granted(web, agent)
    await agent.send(protocol.Poll((), True))
    assert (await agent.receive(protocol.Grant)).run == str(run.id)


async def test_a_go_that_was_lost_comes_again_with_the_poll(web: Web, agent: FakeAgent) -> None:
    run = await started(web, agent)
    await agent.send(protocol.Poll((protocol.Holding(str(run.id), CLAIMED),), True))
    assert (await agent.receive(protocol.Go)).run == str(run.id)


async def test_a_start_said_twice_gets_its_go_twice(web: Web, agent: FakeAgent) -> None:
    run = await started(web, agent)
    await agent.send(protocol.Start(str(run.id)))
    assert (await agent.receive(protocol.Go)).run == str(run.id)


async def test_a_cancelled_run_gets_a_stop_for_its_start(web: Web, agent: FakeAgent) -> None:
    run = await granted(web, agent)
    run.status = "cancelled"
    await agent.send(protocol.Start(str(run.id)))
    assert await agent.receive(protocol.Stop) == protocol.Stop(str(run.id), "cancelled")


async def test_a_session_starts_nothing_that_an_earlier_one_claimed(
    web: Web, agent: FakeAgent
) -> None:
    run = await granted(web, agent)
    run.session = uuid4()
    await agent.send(protocol.Start(str(run.id)))
    assert await agent.receive(protocol.Stop) == protocol.Stop(str(run.id), "unknown")


async def test_a_run_of_another_device_is_unknown_and_unchanged(web: Web, agent: FakeAgent) -> None:
    other = await web.connect(await make_agent("web-2"))
    run = await started(web, other)
    known = str(run.id)
    await agent.send(protocol.Start(known))
    assert await agent.receive(protocol.Stop) == protocol.Stop(known, "unknown")
    await agent.send(output(run, 0, b"forged"))
    assert await agent.receive(protocol.Stop) == protocol.Stop(known, "unknown")
    await agent.send(result(run.id, "failed"))
    assert await agent.receive(protocol.Ack) == protocol.Ack(known, "unknown")
    await agent.send(protocol.Reject(known, protocol.RejectCode.POLICY, ""))
    assert await agent.receive(protocol.Ack) == protocol.Ack(known, "unknown")
    assert (run.status, run.output) == ("running", b"")


async def test_a_rejected_run_is_acknowledged_until_the_agent_has_heard(
    web: Web, agent: FakeAgent
) -> None:
    run = await granted(web, agent)
    for _ in range(2):
        await agent.send(protocol.Reject(str(run.id), protocol.RejectCode.DISK_FULL, "no room"))
        assert await agent.receive(protocol.Ack) == protocol.Ack(str(run.id), "rejected")


async def test_anothers_word_about_a_run_takes_the_place_of_nobodys(
    web: Web, agent: FakeAgent
) -> None:
    other = await web.connect(await make_agent("web-2"))
    run = await granted(web, agent)
    reject = protocol.Reject(str(run.id), protocol.RejectCode.DISK_FULL, "no room")
    for one in (agent, other):
        says(web, one, reject)
    assert await agent.receive(protocol.Ack) == protocol.Ack(str(run.id), "rejected")
    assert await other.receive(protocol.Ack) == protocol.Ack(str(run.id), "unknown")


async def test_who_gave_back_gets_nothing_until_a_poll_says_ready(
    web: Web, agent: FakeAgent
) -> None:
    run = await granted(web, agent)
    assert agent.welcome is not None
    await agent.send(protocol.Giveback(str(run.id), agent.welcome.session))
    assert await agent.receive(protocol.Ack) == protocol.Ack(str(run.id), "queued")
    other = await web.connect(await make_agent("web-2"))
    web.hub.wake()
    await granted(web, other)
    assert run.status == "queued"
    await agent.send(protocol.Poll((), True))
    assert (await agent.receive(protocol.Grant)).run == str(run.id)


def says(web: Web, agent: FakeAgent, frame: protocol.AgentFrame) -> None:
    """At once, so that the hub looks at what several say together."""
    link = web.hub._register.of(agent.device)
    assert link is not None
    web.hub.receive(link, frame)


async def are_unready(*agents: FakeAgent) -> None:
    devices = [agent.device for agent in agents]
    unready = Device.objects.filter(pk__in=devices, is_ready=False)
    await until(lambda: in_thread(lambda: unready.count() == len(devices)))


async def test_whether_an_agent_takes_more_outlasts_what_others_say_in_vain(
    web: Web, agent: FakeAgent
) -> None:
    other = await web.connect(await make_agent("web-2"))
    run = await granted(web, agent)
    web.ledger.failing.add("rejects")
    says(web, agent, protocol.Reject(str(run.id), protocol.RejectCode.DISK_FULL, "no room"))
    says(web, other, protocol.Poll((), False))
    await until(lambda: "rejects" in web.ledger.calls)
    web.ledger.failing.clear()
    await are_unready(other)


async def test_whether_an_agent_takes_more_is_written_once_the_database_is_back(
    web: Web, agent: FakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await web.connect(await make_agent("web-2"))
    write = sessions.set_ready
    failed: list[Session] = []

    def fails_once(session: Session, is_ready: bool) -> None:
        if not failed:
            failed.append(session)
            raise OperationalError("the server closed the connection unexpectedly")
        write(session, is_ready)

    monkeypatch.setattr(sessions, "set_ready", fails_once)
    for one in (agent, other):
        says(web, one, protocol.Poll((), False))
    await are_unready(agent, other)


async def test_a_giveback_of_an_earlier_session_is_acknowledged_and_ignored(
    web: Web, agent: FakeAgent
) -> None:
    run = await granted(web, agent)
    await agent.send(protocol.Giveback(str(run.id), str(uuid4())))
    assert await agent.receive(protocol.Ack) == protocol.Ack(str(run.id), "claimed")
    await granted(web, agent)


async def test_a_claim_of_a_lost_connection_goes_to_the_next_one(web: Web) -> None:
    agent = await web.connect(await make_agent())
    run = await granted(web, agent)
    assert agent.socket is not None
    await agent.socket.close()
    await web.connect(agent)
    await agent.send(protocol.Poll((), True))
    assert (await agent.receive(protocol.Grant)).run == str(run.id)


async def test_the_journal_is_judged_by_the_ledger_and_kept_where_it_says_nothing(
    web: Web,
) -> None:
    agent, ended, stranger = await make_agent(), uuid4(), uuid4()
    web.ledger.verdicts[ended] = ["kill", "ack"]
    evidence = protocol.Evidence(protocol.Outcome.SUCCEEDED, 0, {}, 0, EMPTY_SHA256)
    await web.connect(
        agent,
        journal=[
            protocol.JournalEntry(str(ended), protocol.JournalState.ENDED, evidence),
            protocol.JournalEntry(str(stranger), protocol.JournalState.GO),
        ],
    )
    assert agent.welcome is not None
    said = [(UUID(one.run), one.verdict.value) for one in agent.welcome.verdicts]
    assert said == [(ended, "kill"), (ended, "ack"), (stranger, "keep")]


async def test_output_is_answered_with_where_to_go_on(web: Web, agent: FakeAgent) -> None:
    run = await started(web, agent)
    await agent.send(output(run, 0, b"one "))
    assert (await agent.receive(protocol.OutputAck)).next == 4
    await agent.send(output(run, 9, b"far ahead"))
    assert (await agent.receive(protocol.OutputAck)).next == 4
    await agent.send(output(run, 0, b"one "))
    assert (await agent.receive(protocol.OutputAck)).next == 4
    assert run.output == b"one "


async def test_what_follows_a_gap_does_not_take_its_place(web: Web, agent: FakeAgent) -> None:
    run = await started(web, agent)
    gap = protocol.Output(str(run.id), 5, protocol.Stream.STDOUT, b"", 5)
    await agent.send(gap)
    await agent.send(output(run, 5, b"on"))
    while (await agent.receive(protocol.OutputAck)).next < 7:
        pass
    assert run.output.endswith(b"on")


async def test_without_the_database_nothing_is_acknowledged_and_repeats_make_up_for_it(
    web: Web, agent: FakeAgent
) -> None:
    run = await started(web, agent)
    web.ledger.is_away = True
    before = web.ledger.calls.count("results")
    await agent.send(result(run.id))
    await until(lambda: web.ledger.calls.count("results") > before)
    await agent.send(protocol.Heartbeat(1, 0.0))
    await agent.receive(protocol.HeartbeatAck)
    web.ledger.is_away = False
    await agent.send(result(run.id))
    assert await agent.receive(protocol.Ack) == protocol.Ack(str(run.id), "succeeded")


@pytest.mark.parametrize("call", ["waiting", "claim"])
async def test_a_claim_that_met_no_database_is_made_when_it_is_back(
    web: Web, agent: FakeAgent, call: str
) -> None:
    run = web.ledger.add(agent.device)
    web.ledger.failing.add(call)
    web.hub.wake()
    await until(lambda: call in web.ledger.calls)
    web.ledger.failing.clear()
    assert (await agent.receive(protocol.Grant)).run == str(run.id)


async def test_what_cannot_be_stored_holds_up_nobody_else(web: Web, agent: FakeAgent) -> None:
    others = [await web.connect(await make_agent(f"web-{number}")) for number in range(5)]
    runs = [await started(web, one) for one in others]
    poisoned = await started(web, agent)
    web.ledger.poison = b"poison"
    with capture_logs() as logs:
        await agent.send(output(poisoned, 0, b"poison"))
        for one, run in zip(others, runs, strict=True):
            await one.send(output(run, 0, b"wholesome"))
        for one in others:
            assert (await one.receive(protocol.OutputAck)).next == 9
        await until(lambda: any(log["event"] == "hub_item_failed" for log in logs))
    assert poisoned.output == b""
    await agent.send(protocol.Heartbeat(1, 0.0))
    await agent.receive(protocol.HeartbeatAck)


async def test_a_cancel_reaches_the_agent_at_once_and_with_each_heartbeat(
    web: Web, agent: FakeAgent
) -> None:
    run = await started(web, agent)
    run.is_cancelling = True
    web.hub.wake()
    assert await agent.receive(protocol.Cancel) == protocol.Cancel(str(run.id))
    for _ in range(2):
        await agent.send(protocol.Heartbeat(1, 0.0))
        assert (await agent.receive(protocol.HeartbeatAck)).cancel == (str(run.id),)
    await agent.send(result(run.id, "cancelled"))
    await agent.receive(protocol.Ack)
    web.hub.wake()
    await until(lambda: _cancels(web, agent) == ())


def _cancels(web: Web, agent: FakeAgent) -> tuple[str, ...]:
    link = web.hub._register.of(agent.device)
    assert link is not None
    return link.cancels


async def test_files_are_not_served_to_who_may_not_have_them(web: Web, agent: FakeAgent) -> None:
    run = str(uuid4())
    await agent.send(protocol.Fetch(run, EMPTY_SHA256))
    assert await agent.receive(protocol.Stop) == protocol.Stop(run, "unknown")
