from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import pytest
import uvicorn
from django.contrib.auth.models import User
from django.db import close_old_connections
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from accounts import telling
from devices import keys, upward
from devices.agent import protocol
from devices.consumers import AgentConsumer, Handshakes
from devices.hub import Hub
from devices.models import Device, DeviceGroup
from devices.tests.fakes import FakeAgent, FakeLedger

T = TypeVar("T")
DEADLINE_SECONDS = 60.0
Told = list[tuple[str, UUID | str, set[int]]]
"""What open pages were told of: its kind and id, and who saw it before."""


async def in_thread(work: Callable[[], T]) -> T:
    """Database work of an async test, on a thread that gives its connection back."""

    def connected() -> T:
        try:
            return work()
        finally:
            close_old_connections()

    return await asyncio.to_thread(connected)


async def until(condition: Callable[[], Any], seconds: float = DEADLINE_SECONDS) -> Any:
    """The first true answer of a condition that is asked again and again; fails after a while."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        found = await answer if isinstance(answer, Awaitable) else answer
        if found:
            return found
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.02)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    heard: Told = []

    def tell(kind: str, ids: Iterable[UUID | str], *, known_to: Iterable[int] = ()) -> None:
        heard.extend((kind, one, set(known_to)) for one in ids)

    monkeypatch.setattr(telling, "_handed", [tell])
    return heard


@pytest.fixture
def ledger(told: object) -> Iterator[FakeLedger]:
    """A ledger in memory, handed to devices as the real one is."""
    before = upward._handed[:]
    fake = FakeLedger()
    forget = fake.forgotten.append
    upward.hand_over(upward.Upward(fake, forget, forget))
    yield fake
    upward._handed[:] = before


def make_device(name: str = "web-1", **fields: Any) -> tuple[Device, bytes]:
    """A device as enrolment leaves it, and its private key."""
    private_key = protocol.new_private_key()
    device = Device.objects.create(
        name=name, public_key=protocol.public_key_of(private_key), **fields
    )
    return device, private_key


async def make_agent(name: str = "web-1", **fields: Any) -> FakeAgent:
    device, private_key = await in_thread(lambda: make_device(name, **fields))
    return FakeAgent(device.pk, private_key)


@dataclass
class Web:
    """A web process's agent socket, on a real server, and its hub."""

    hub: Hub
    ledger: FakeLedger
    address: str
    sockets: AsyncExitStack

    async def open(self, **options: Any) -> ClientConnection:
        options.setdefault("subprotocols", [Subprotocol(protocol.SUBPROTOCOL)])
        return await self.sockets.enter_async_context(
            connect(self.address, compression=None, ping_interval=None, **options)
        )

    async def connect(self, agent: FakeAgent, **hello: Any) -> FakeAgent:
        """The agent, welcomed."""
        await agent.say_hello(await self.open(), **hello)
        agent.welcome = await agent.receive(protocol.Welcome)
        return agent


@pytest.fixture
async def web(transactional_db: None, ledger: FakeLedger) -> AsyncIterator[Web]:
    ledger.key_id = await in_thread(keys.ensure_key)
    async with AsyncExitStack() as stack:
        yield await start_web(stack, ledger)


async def start_web(stack: AsyncExitStack, ledger: FakeLedger, *, handshakes: float = 300) -> Web:
    hub = Hub(ledger)
    await hub.start()
    stack.push_async_callback(hub.stop)
    config = uvicorn.Config(
        AgentConsumer.as_asgi(hub=hub, handshakes=Handshakes(handshakes)),
        port=0,
        ws="websockets-sansio",
        ws_max_size=protocol.MAX_FRAME_BYTES,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        lifespan="off",
        log_level="warning",
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    stack.push_async_callback(_stop, server, serving)
    await until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    sockets = await stack.enter_async_context(AsyncExitStack())
    return Web(hub, ledger, f"ws://127.0.0.1:{port}{protocol.SOCKET_PATH}", sockets)


async def _stop(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    server.should_exit = True
    await serving


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("admin")


@pytest.fixture
def operator(db: None) -> User:
    return User.objects.create_user("operator")


@pytest.fixture
def outsider(db: None) -> User:
    return User.objects.create_user("outsider")


@pytest.fixture
def web_group(operator: User) -> DeviceGroup:
    """A group that the operator was given."""
    group = DeviceGroup.objects.create(name="web")
    group.people.add(operator)
    return group
