"""Frames of a real client reach the ledger, and its answers the client."""

from __future__ import annotations

import hashlib

from devices.agent import protocol
from devices.tests.conftest import Web, make_agent, until

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


def result(run: object, outcome: str = "succeeded") -> protocol.Result:
    return protocol.Result(str(run), protocol.Outcome(outcome), 0, {}, 0, EMPTY_SHA256)


async def test_a_run_goes_from_the_queue_to_its_result(web: Web) -> None:
    agent = await web.connect(await make_agent())
    run = web.ledger.add(agent.device)
    web.hub.wake()
    grant = await agent.receive(protocol.Grant)
    assert (grant.run, grant.payload) == (str(run.id), b"payload")
    await agent.send(protocol.Start(grant.run))
    assert (await agent.receive(protocol.Go)).timeout_seconds == 60
    await agent.send(protocol.Output(grant.run, 0, protocol.Stream.STDOUT, b"hello\n"))
    await agent.send(result(run.id))
    assert (await agent.receive(protocol.OutputAck)).next == 6
    assert await agent.receive(protocol.Ack) == protocol.Ack(grant.run, "succeeded")
    assert run.output == b"hello\n"


async def test_the_first_poll_is_answered_with_what_waits(web: Web) -> None:
    agent = await make_agent()
    run = web.ledger.add(agent.device)
    await web.connect(agent)
    await agent.send(protocol.Poll((), True))
    assert (await agent.receive(protocol.Grant)).run == str(run.id)
    await until(lambda: run.status == "claimed")
