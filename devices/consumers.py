"""The agents' socket, `/ws/agent`: reads a frame, calls the hub. What is said stands in
`devices/agent/protocol`, what it means in the hub and the ledger."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from channels.consumer import AsyncConsumer

from devices.agent import protocol
from devices.hub import Hub, Link, Refused
from devices.hub.admission import CLOSE_TRY_AGAIN_LATER
from devices.hub.link import Send

log = structlog.get_logger(__name__)

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class Disconnected(Exception):
    """The other end has gone."""


class Handshakes:
    """How many connections a process lets in: so many a second, and as many at once."""

    def __init__(self, per_second: float) -> None:
        self._most = self._tokens = per_second
        self._at = 0.0

    def admit(self, now: float) -> bool:
        earned = (now - self._at) * self._most
        self._tokens = min(self._most, self._tokens + earned)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class AgentConsumer(AsyncConsumer):
    """One connection. Channels' own `__call__` would join a channel layer and wait for the
    process's one database thread at every frame; neither is of use here."""

    def __init__(self, hub: Hub, handshakes: Handshakes) -> None:
        self._hub = hub
        self._handshakes = handshakes

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        if (refusal := self._refusal(scope)) is not None:
            await _refuse(send, *refusal)
            return
        await send({"type": "websocket.accept", "subprotocol": protocol.SUBPROTOCOL})
        link = Link(send, _now())
        try:
            await self._serve(link, receive)
        except Refused as refused:
            link.close(refused.code)
        except protocol.ProtocolError as error:
            log.info("agent_broke_protocol", device=_device(link), why=str(error))
            link.close(protocol.CLOSE_NOT_THE_PROTOCOL)
        except Disconnected:
            pass
        except asyncio.CancelledError:
            if link.closed_with is None:
                raise  # not the link was given up: the server ends
        finally:
            self._hub.leave(link)
            await link.drained()

    def _refusal(self, scope: Mapping[str, Any]) -> tuple[int, str] | None:
        """Why no connection is made: a browser carries an Origin, an agent never does."""
        if any(name == b"origin" for name, _ in scope["headers"]):
            return 403, "Not for browsers."
        if protocol.SUBPROTOCOL not in scope["subprotocols"]:
            return 400, f"The subprotocol is {protocol.SUBPROTOCOL}."
        if self._hub.identity is None or not self._handshakes.admit(_now()):
            return 503, "Try again in a moment."
        return None

    async def _serve(self, link: Link, receive: Receive) -> None:
        await self._greet(link, receive)
        while True:
            text = await _text(receive)
            if link.closed_with is not None:
                return
            link.hears(_now())
            self._hub.receive(link, protocol.decode_from_agent(text))
            await self._hub.room(link)

    async def _greet(self, link: Link, receive: Receive) -> None:
        """Challenges, and has the hub judge the answer. Raises Refused."""
        identity = self._hub.identity
        if identity is None:
            raise Refused(CLOSE_TRY_AGAIN_LATER)
        nonce = secrets.token_bytes(32)
        link.send(
            protocol.Challenge(
                nonce, identity.server_id, datetime.now(UTC), (protocol.SUBPROTOCOL,)
            )
        )
        try:
            async with asyncio.timeout(protocol.HELLO_WITHIN_SECONDS):
                hello = protocol.decode_from_agent(await _text(receive))
        except TimeoutError:
            raise Refused(protocol.CLOSE_NOT_AUTHENTICATED) from None
        if not isinstance(hello, protocol.Hello):
            raise Refused(protocol.CLOSE_NOT_AUTHENTICATED)

        async def next_frame() -> protocol.AgentFrame:
            text = await _text(receive)
            link.hears(_now())
            return protocol.decode_from_agent(text)

        await self._hub.welcome(link, nonce, hello, next_frame)


async def _text(receive: Receive) -> str:
    message = await receive()
    if message["type"] == "websocket.disconnect":
        raise Disconnected
    text = message.get("text")
    if not isinstance(text, str):
        raise protocol.ProtocolError("not a text frame")
    return text


async def _refuse(send: Send, status: int, reason: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    if status == 503:
        headers.append((b"retry-after", b"2"))
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": reason.encode()})


def _device(link: Link) -> str | None:
    return None if link.session is None else str(link.session.device)


def _now() -> float:
    return asyncio.get_running_loop().time()
