"""A WebSocket connection with as little around it as can be: the sans-I/O `websockets` on a transport."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

MAX_SIZE = 128 * 1024
SWITCHING_PROTOCOLS = 101


class Wire(asyncio.Protocol):
    """One end. `on_open` is told when the handshake is done, `on_text` gets every frame's text,
    `on_close` that there is no connection (any more)."""

    def __init__(
        self, end: ServerProtocol | ClientProtocol, on_open: Callable[[Wire], None]
    ) -> None:
        self._end = end
        self._on_open = on_open
        self._status: int | None = None
        self.on_text: Callable[[str], None] = lambda text: None
        self.on_close: Callable[[Wire], None] = lambda wire: None

    @classmethod
    def of_server(cls, on_open: Callable[[Wire], None]) -> Wire:
        return cls(ServerProtocol(max_size=MAX_SIZE), on_open)

    @classmethod
    def of_client(
        cls, address: str, on_open: Callable[[Wire], None], subprotocols: Sequence[str] = ()
    ) -> Wire:
        offered = [Subprotocol(one) for one in subprotocols] or None
        end = ClientProtocol(parse_uri(address), max_size=MAX_SIZE, subprotocols=offered)
        return cls(end, on_open)

    @property
    def close_code(self) -> int | None:
        """What the connection was closed with; None where no handshake was completed."""
        return self._end.close_code

    @property
    def refused_with(self) -> int | None:
        """The HTTP status of a handshake that came to nothing."""
        return self._status

    def send(self, text: str) -> None:
        self._end.send_text(text.encode())
        self._flush()

    def abort(self) -> None:
        """Gone at once, as when the machine is."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if isinstance(self._end, ClientProtocol):
            self._end.send_request(self._end.connect())
            self._flush()

    def data_received(self, data: bytes) -> None:
        self._end.receive_data(data)
        for event in self._end.events_received():
            if isinstance(event, Frame):
                if event.opcode is Opcode.TEXT:
                    self.on_text(bytes(event.data).decode())
            else:
                self._shake_hands(event)
        self._flush()

    def connection_lost(self, problem: Exception | None) -> None:
        self._end.receive_eof()
        self.on_close(self)

    def _shake_hands(self, event: Request | Response) -> None:
        if isinstance(self._end, ServerProtocol) and isinstance(event, Request):
            self._end.send_response(self._end.accept(event))
            self._flush()
        elif isinstance(event, Response) and event.status_code != SWITCHING_PROTOCOLS:
            self._status = event.status_code
            self._transport.close()
            return
        self._on_open(self)

    def _flush(self) -> None:
        if pieces := self._end.data_to_send():
            self._transport.writelines(pieces)
