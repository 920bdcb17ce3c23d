"""How agents that are connected come to know of a new signing key."""

from __future__ import annotations

from devices import key_rotation, keys
from devices.agent import protocol
from devices.hub import upkeep
from devices.ledger_port import Session
from devices.tests.conftest import Web, in_thread, make_agent, until
from devices.tests.fakes import FakeAgent
from devices.tests.test_hub_admission import code

import pytest  # isort: skip


def rotate() -> str:
    return key_rotation.rotate(lambda _: None, lambda _: None)[0].new.key_id


@pytest.fixture(autouse=True)
def _no_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked at every five seconds is not: a test would find two steps done at once."""
    monkeypatch.setattr(upkeep, "CHECK_SECONDS", 3_600.0)


@pytest.fixture
async def agent(web: Web) -> FakeAgent:
    return await web.connect(await make_agent())


async def test_an_agent_is_told_of_a_new_key_before_it_gets_a_grant_signed_by_it(
    web: Web, agent: FakeAgent
) -> None:
    web.ledger.key_id = await in_thread(rotate)
    run = web.ledger.add(agent.device)
    web.hub.wake()
    assert await code(agent.socket) == protocol.CLOSE_NEW_KEY

    await until(lambda: web.hub.identity and web.ledger.key_id in web.hub.identity.key_ids)
    await web.connect(agent)
    assert agent.welcome is not None
    assert agent.welcome.server_keys[-1].key_id == web.ledger.key_id
    await agent.send(protocol.Poll((), True))
    grant = await agent.receive(protocol.Grant)
    assert (grant.run, grant.key_id) == (str(run.id), web.ledger.key_id)


async def test_a_grant_of_an_older_key_is_for_the_agent_to_refuse(
    web: Web, agent: FakeAgent
) -> None:
    await in_thread(rotate)
    web.hub._upkeep.new_key()
    assert await code(agent.socket) == protocol.CLOSE_NEW_KEY
    await web.connect(agent)
    run = web.ledger.add(agent.device)
    web.hub.wake()
    assert (await agent.receive(protocol.Grant)).run == str(run.id)


async def test_idle_agents_are_told_a_few_at_a_time(
    web: Web, agent: FakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "UNINFORMED_AT_ONCE", 1)
    second = await web.connect(await make_agent("web-2"))
    await in_thread(rotate)
    web.hub._upkeep.new_key()
    await until(lambda: web.hub.report().connected == 1)
    web.hub._upkeep.new_key()
    assert await code(agent.socket) == protocol.CLOSE_NEW_KEY
    assert await code(second.socket) == protocol.CLOSE_NEW_KEY


async def test_who_is_told_of_a_new_key_is_no_rival_of_itself(web: Web, agent: FakeAgent) -> None:
    for _ in range(4):
        await in_thread(rotate)
        web.hub._upkeep.new_key()
        assert await code(agent.socket) == protocol.CLOSE_NEW_KEY
        await web.connect(agent)
    assert not web.hub.report().contested


async def test_what_a_device_keeps_claimed_is_granted_again_as_it_is_signed_now(
    web: Web, agent: FakeAgent
) -> None:
    run = web.ledger.add(agent.device)
    web.hub.wake()
    await agent.receive(protocol.Grant)

    def keep(session: Session, journal: object) -> list[object]:
        run.session = session.session
        return []

    web.ledger.hello = keep  # type: ignore[method-assign,assignment]
    entry = protocol.JournalEntry(str(run.id), protocol.JournalState.CLAIMED)
    await web.connect(agent, journal=[entry])
    assert (await agent.receive(protocol.Grant)).run == str(run.id)


async def test_the_chain_leads_from_the_pinned_key_to_the_current_one(
    web: Web, agent: FakeAgent
) -> None:
    assert agent.welcome is not None
    pinned = agent.welcome.server_keys[-1].public_key
    for _ in range(3):
        await in_thread(rotate)
    web.hub._upkeep.new_key()
    assert await code(agent.socket) == protocol.CLOSE_NEW_KEY
    await web.connect(agent)
    server_id = str(await in_thread(keys.server_id))
    newest = protocol.newest_key(agent.welcome.server_keys, server_id, pinned)
    assert newest == await in_thread(keys.current_public_key)
