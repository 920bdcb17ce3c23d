"""Who may hold a connection, and with which code everybody else is sent away."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from uuid import uuid4

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from devices import consumers
from devices.agent import protocol
from devices.models import Device
from devices.tests.conftest import Web, in_thread, make_agent, start_web, until
from devices.tests.fakes import FakeAgent


async def code(socket: ClientConnection | None) -> int:
    """The code the server closes this connection with, whatever it says before."""
    assert socket is not None
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            await socket.recv()
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


async def greeted(web: Web) -> ClientConnection:
    """A connection that was challenged and has answered nothing."""
    socket = await web.open()
    await socket.recv()
    return socket


async def test_a_browser_is_not_let_in(web: Web) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await web.open(origin="https://deployx.example.org")
    assert refused.value.response.status_code == 403


async def test_another_subprotocol_is_not_let_in(web: Web) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await web.open(subprotocols=None)
    assert refused.value.response.status_code == 400


async def test_who_comes_while_there_are_too_many_is_asked_to_come_back(
    web: Web,
) -> None:
    async with AsyncExitStack() as stack:
        full = await start_web(stack, web.ledger, handshakes=0.5)
        with pytest.raises(InvalidStatus) as refused:
            await full.open()
    response = refused.value.response
    assert (response.status_code, response.headers["Retry-After"]) == (503, "2")


def test_as_many_come_in_as_a_process_can_greet() -> None:
    handshakes = consumers.Handshakes(300)
    assert all(handshakes.admit(now=100.0) for _ in range(300))
    assert not handshakes.admit(now=100.0)
    assert handshakes.admit(now=100.01)
    assert [handshakes.admit(now=200.0) for _ in range(301)].count(True) == 300


async def test_an_agent_is_welcomed_with_what_it_must_know(web: Web) -> None:
    agent = await web.connect(await make_agent())
    welcome = agent.welcome
    assert welcome is not None
    device = await in_thread(lambda: Device.objects.get(pk=agent.device))
    assert welcome.session == str(device.session)
    assert len(welcome.server_keys) == 1
    assert welcome.limits.max_runs == 4
    assert (device.hostname, device.agent_version) == ("web-1", "1.0.0")
    assert device.status == Device.Status.ONLINE


async def test_a_device_nobody_enrolled_is_not_authenticated(web: Web) -> None:
    agent = FakeAgent(uuid4(), protocol.new_private_key())
    await agent.say_hello(await web.open())
    assert await code(agent.socket) == protocol.CLOSE_NOT_AUTHENTICATED


async def test_a_key_that_is_not_the_devices_is_not_authenticated(web: Web) -> None:
    agent = await make_agent()
    agent.private_key = protocol.new_private_key()
    await agent.say_hello(await web.open())
    assert await code(agent.socket) == protocol.CLOSE_NOT_AUTHENTICATED


async def test_a_hello_of_another_connection_is_not_authenticated(web: Web) -> None:
    agent = await make_agent()
    nonce, server_id = bytes(32), str(uuid4())
    signed = protocol.hello_bytes(nonce, server_id, str(agent.device))
    hello = protocol.Hello(
        str(agent.device),
        protocol.SUBPROTOCOL,
        "1.0.0",
        {},
        protocol.sign(agent.private_key, signed),
        (),
    )
    socket = await greeted(web)
    await socket.send(protocol.encode(hello))
    assert await code(socket) == protocol.CLOSE_NOT_AUTHENTICATED


async def test_another_first_word_than_hello_is_not_authenticated(web: Web) -> None:
    socket = await greeted(web)
    await socket.send(protocol.encode(protocol.Heartbeat(0, 0.0)))
    assert await code(socket) == protocol.CLOSE_NOT_AUTHENTICATED


async def test_silence_is_not_authenticated(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HELLO_WITHIN_SECONDS", 0.1)
    assert await code(await greeted(web)) == protocol.CLOSE_NOT_AUTHENTICATED


@pytest.mark.parametrize(
    "frame",
    ["not json", "[]", '{"type": "greetings"}', '{"type": "hello"}', b'{"type": "hello"}'],
)
async def test_what_is_no_frame_is_not_the_protocol(web: Web, frame: str | bytes) -> None:
    socket = await greeted(web)
    await socket.send(frame)
    assert await code(socket) == protocol.CLOSE_NOT_THE_PROTOCOL


async def test_another_version_is_not_the_protocol(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, socket = await make_agent(), await web.open()
    monkeypatch.setattr(protocol, "SUBPROTOCOL", "deployx.v2")
    await agent.say_hello(socket)
    monkeypatch.undo()
    assert await code(socket) == protocol.CLOSE_NOT_THE_PROTOCOL


async def test_a_second_hello_is_not_the_protocol(web: Web) -> None:
    agent = await web.connect(await make_agent())
    hello = protocol.Hello(str(agent.device), protocol.SUBPROTOCOL, "1.0.0", {}, bytes(64), ())
    await agent.send(hello)
    assert await code(agent.socket) == protocol.CLOSE_NOT_THE_PROTOCOL


async def test_a_frame_of_the_servers_own_is_not_the_protocol(web: Web) -> None:
    agent = await web.connect(await make_agent())
    assert agent.socket is not None
    await agent.socket.send(protocol.encode(protocol.Cancel(str(uuid4()))))
    assert await code(agent.socket) == protocol.CLOSE_NOT_THE_PROTOCOL


async def test_a_frame_over_the_limit_ends_the_connection(web: Web) -> None:
    agent = await web.connect(await make_agent())
    assert agent.socket is not None
    await agent.socket.send(" " * (protocol.MAX_FRAME_BYTES + 1))
    assert await code(agent.socket) == 1009


async def test_who_sends_too_fast_is_sent_away(web: Web) -> None:
    agent = await web.connect(await make_agent())
    with suppress(ConnectionClosed):
        while True:  # a server that stood still in between has to bear some more
            for _ in range(protocol.FRAMES_BURST * 2):
                await agent.send(protocol.Heartbeat(0, 0.0))
            for _ in range(protocol.FRAMES_BURST * 2):
                await agent.receive(protocol.HeartbeatAck)
    assert await code(agent.socket) == protocol.CLOSE_TOO_FAST


async def test_a_revoked_device_is_sent_away(web: Web) -> None:
    from django.utils import timezone

    agent = await make_agent(revoked_at=timezone.now())
    await agent.say_hello(await web.open())
    assert await code(agent.socket) == protocol.CLOSE_REVOKED


async def test_a_newer_session_fences_the_older(web: Web) -> None:
    agent = await web.connect(await make_agent())
    older = agent.socket
    await web.connect(agent)
    assert await code(older) == protocol.CLOSE_FENCED
    await agent.send(protocol.Heartbeat(0, 0.0))
    assert (await agent.receive(protocol.HeartbeatAck)).session_ok


async def test_a_newer_session_at_another_web_process_fences_the_older(web: Web) -> None:
    agent = await web.connect(await make_agent())
    older = agent.socket
    async with AsyncExitStack() as stack:
        other = await start_web(stack, web.ledger)
        await other.connect(agent)
        web.hub.wake()
        assert await code(older) == protocol.CLOSE_FENCED
        await agent.send(protocol.Heartbeat(0, 0.0))
        await agent.receive(protocol.HeartbeatAck)


async def test_two_machines_with_one_identity_are_noticed(web: Web) -> None:
    agent = await make_agent()
    for _ in range(4):
        await web.connect(agent)
    assert await until(lambda: web.hub.report().contested) == {agent.device}


async def test_without_the_database_agents_are_asked_to_come_back(web: Web) -> None:
    agent = await make_agent()
    web.ledger.is_away = True
    await agent.say_hello(await web.open())
    assert await code(agent.socket) == 1013
    web.ledger.is_away = False
    await web.connect(agent)
