"""A device in recovery mode is asked for its runs between its hello and its welcome."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from devices.agent import protocol
from devices.hub import recalling
from devices.models import Device
from devices.tests.conftest import Web, in_thread, make_agent
from devices.tests.fakes import FakeAgent
from devices.tests.test_hub import EMPTY_SHA256
from devices.tests.test_hub_admission import code

GO, ENDED = protocol.JournalState.GO, protocol.JournalState.ENDED
EVIDENCE = protocol.Evidence(protocol.Outcome.SUCCEEDED, 0, {}, 0, EMPTY_SHA256)


def ended(run: UUID) -> protocol.JournalEntry:
    return protocol.JournalEntry(str(run), ENDED, EVIDENCE)


def go(run: UUID) -> protocol.JournalEntry:
    return protocol.JournalEntry(str(run), GO)


async def make_marked(web: Web, runs: list[UUID]) -> FakeAgent:
    agent = await make_agent(in_recovery=True)
    web.ledger.recalls[agent.device] = runs
    return agent


async def test_it_is_asked_and_judged_by_its_answer(web: Web) -> None:
    running, settled, silent = uuid4(), uuid4(), uuid4()
    agent = await make_marked(web, [running, settled, silent])
    web.ledger.verdicts = {running: ["keep"], settled: ["ack"]}
    await agent.say_hello(await web.open(), journal=[go(running)])
    asked = await agent.receive(protocol.Recall)
    assert set(asked.runs) == {str(running), str(settled), str(silent)}
    await agent.send(protocol.Recalled((go(running),), True))
    await agent.send(protocol.Recalled((ended(settled),), False))
    welcome = await agent.receive(protocol.Welcome)
    (answer,) = web.ledger.answers
    assert {row.run: row.state for row in answer.journal} == {running: "go", settled: "ended"}
    assert (set(answer.asked), answer.is_whole) == ({running, settled, silent}, True)
    assert "hello" not in web.ledger.calls
    # Of a tombstone nothing is asked any more.
    assert [(one.run, one.verdict.value) for one in welcome.verdicts] == [(str(running), "keep")]


async def test_what_it_says_last_of_a_run_counts(web: Web) -> None:
    run = uuid4()
    agent = await make_marked(web, [run])
    await agent.say_hello(await web.open(), journal=[go(run)])
    await agent.receive(protocol.Recall)
    await agent.send(protocol.Recalled((ended(run),), False))
    await agent.receive(protocol.Welcome)
    assert [row.state for row in web.ledger.answers[0].journal] == ["ended"]


async def test_more_runs_than_a_frame_takes_are_asked_for_one_after_the_other(web: Web) -> None:
    agent = await make_marked(web, [uuid4() for _ in range(1_001)])
    await agent.say_hello(await web.open())
    sizes = []
    for _ in range(2):
        sizes.append(len((await agent.receive(protocol.Recall)).runs))
        await agent.send(protocol.Recalled((), False))
    await agent.receive(protocol.Welcome)
    assert sizes == [1_000, 1]


async def test_who_has_nothing_to_tell_of_is_asked_nothing(web: Web) -> None:
    await web.connect(await make_marked(web, []))
    assert [answer.asked for answer in web.ledger.answers] == [[]]


async def test_what_it_was_not_asked_for_is_no_evidence(web: Web) -> None:
    run, other = uuid4(), uuid4()
    agent = await make_marked(web, [run])
    await agent.say_hello(await web.open())
    await agent.receive(protocol.Recall)
    await agent.send(protocol.Recalled((ended(other),), False))
    await agent.receive(protocol.Welcome)
    assert web.ledger.answers[0].journal == []


async def test_a_damaged_journal_is_said_to_be_one(web: Web) -> None:
    agent = await make_marked(web, [])
    await web.connect(agent, facts={"hostname": "web-1", "os": "linux", "journal_damaged": True})
    assert [answer.is_whole for answer in web.ledger.answers] == [False]


async def test_another_word_than_an_answer_ends_the_connection(web: Web) -> None:
    agent = await make_marked(web, [uuid4()])
    await agent.say_hello(await web.open())
    await agent.receive(protocol.Recall)
    await agent.send(protocol.Heartbeat(0, 0.0))
    assert await code(agent.socket) == protocol.CLOSE_NOT_THE_PROTOCOL
    assert web.ledger.answers == []


async def test_no_answer_ends_the_connection(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recalling, "ANSWER_WITHIN_SECONDS", 0.05)
    agent = await make_marked(web, [uuid4()])
    await agent.say_hello(await web.open())
    await agent.receive(protocol.Recall)
    assert await code(agent.socket) == protocol.CLOSE_NOT_THE_PROTOCOL
    assert web.ledger.answers == []


async def test_a_device_out_of_recovery_is_not_asked(web: Web) -> None:
    agent = await make_agent()
    web.ledger.recalls[agent.device] = [uuid4()]
    await web.connect(agent)
    assert "recall" not in web.ledger.calls


async def test_a_connection_that_outlived_the_restore_says_hello_again(web: Web) -> None:
    run = uuid4()
    agent = await web.connect(await make_agent())
    web.ledger.recalls[agent.device] = [run]
    device = Device.objects.filter(pk=agent.device)
    await in_thread(lambda: device.update(in_recovery=True, session=None))
    web.hub.wake()
    assert await code(agent.socket) == protocol.CLOSE_FENCED
    await agent.say_hello(await web.open())
    assert (await agent.receive(protocol.Recall)).runs == (str(run),)


async def test_a_newer_session_ends_one_that_is_being_asked(web: Web) -> None:
    agent = await make_marked(web, [uuid4()])
    first = await web.open()
    await agent.say_hello(first)
    await agent.receive(protocol.Recall)
    await agent.say_hello(await web.open())
    await agent.receive(protocol.Recall)
    assert await code(first) == protocol.CLOSE_FENCED
    await agent.send(protocol.Recalled((), False))
    await agent.receive(protocol.Welcome)
    assert len(web.ledger.answers) == 1
