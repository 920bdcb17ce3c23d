"""What the server takes from an agent, and from whoever says to be one."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from benchmarks.simulated import Identity, enlist
from benchmarks.simulated.agent import FACTS
from devices.agent import protocol
from tests.faults.devices.conftest import HANDSHAKES, Grounds, execute_on
from tests.faults.site import Site

REQUEST = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: {protocol}\r\n\r\n"
)
AT_ONCE = 450
PATIENCE_SECONDS = 60
DEEP = json.dumps({"type": "facts", "facts": json.loads("[" * 16 + "]" * 16)})


EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
Kind = TypeVar("Kind")


class Peer:
    """An agent's end of a connection, without an agent."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def introduce(self, identity: Identity) -> protocol.Welcome:
        challenge = self.hear()
        assert isinstance(challenge, protocol.Challenge)
        signed = protocol.hello_bytes(challenge.nonce, challenge.server_id, identity.id)
        signature = protocol.sign(identity.private_key, signed)
        self.say(protocol.Hello(identity.id, protocol.SUBPROTOCOL, "1", dict(FACTS), signature, ()))
        welcome = self.hear()
        assert isinstance(welcome, protocol.Welcome)
        return welcome

    def say(self, frame: protocol.AgentFrame) -> None:
        self.socket.send(protocol.encode(frame))

    def hear(self) -> protocol.ServerFrame:
        return protocol.decode_from_server(str(self.socket.recv(PATIENCE_SECONDS)))

    def answer(self, frame: protocol.AgentFrame) -> protocol.ServerFrame:
        self.say(frame)
        return self.hear()

    def hear_a(self, kind: type[Kind]) -> Kind:
        """The next of this kind; what comes before it is overheard."""
        while not isinstance(frame := self.hear(), kind):
            pass
        return frame

    def closed_with(self) -> int:
        """The close code, once the server has closed; what it still says is overheard."""
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                self.socket.recv(PATIENCE_SECONDS)
        assert closed.value.rcvd is not None, "not closed, but broken off"
        return closed.value.rcvd.code


@pytest.fixture
def place(grounds: Grounds) -> Site:
    return grounds.site


@pytest.fixture
def identity(place: Site) -> Identity:
    (made,) = enlist(place.services.database_url, 1, "limited")
    return made


@contextmanager
def peer(place: Site, identity: Identity | None = None) -> Iterator[Peer]:
    """Introduced where it has an identity."""
    address = f"ws://127.0.0.1:{place.port}{protocol.SOCKET_PATH}"
    words = [Subprotocol(protocol.SUBPROTOCOL)]
    patience = {"open_timeout": PATIENCE_SECONDS, "ping_interval": None}
    with connect(address, subprotocols=words, compression=None, **patience) as socket:
        made = Peer(socket)
        if identity is not None:
            made.introduce(identity)
        yield made


def test_who_says_no_hello_is_sent_away_after_ten_seconds(place: Site) -> None:
    with peer(place) as one:
        assert isinstance(one.hear(), protocol.Challenge)
        assert one.closed_with() == protocol.CLOSE_NOT_AUTHENTICATED


async def test_more_handshakes_than_are_let_in_a_second_come_again_later(place: Site) -> None:
    request = REQUEST.format(
        path=protocol.SOCKET_PATH, port=place.port, protocol=protocol.SUBPROTOCOL
    )
    heads: list[bytes] = []
    counts: Counter[bytes] = Counter()
    over = time.monotonic() + PATIENCE_SECONDS
    # A web process that gets too little of the machine does not do so many in a second.
    while not counts[b"503"] and time.monotonic() < over:
        heads += await answers_to(request.encode(), place.port)
        counts = Counter(head.split()[1] for head in heads)
    assert set(counts) == {b"101", b"503"}
    assert counts[b"101"] >= HANDSHAKES
    assert all(b"retry-after: 2" in head for head in heads if head.split()[1] == b"503")


async def answers_to(request: bytes, port: int) -> list[bytes]:
    """Of as many connections at once."""
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(AT_ONCE)]
    try:
        for _, writer in connections:
            writer.write(request)
        return [await reader.readuntil(b"\r\n\r\n") for reader, _ in connections]
    finally:
        for _, writer in connections:
            writer.transport.abort()


def test_who_speaks_too_fast_is_sent_away(place: Site, identity: Identity) -> None:
    text = protocol.encode(protocol.Heartbeat(0, 0.0)).encode()
    many = b"".join(Frame(Opcode.TEXT, text).serialize(mask=True) for _ in range(600))
    with peer(place, identity) as one:
        # In one piece: who still speaks when the connection goes may not hear why.
        one.socket.socket.sendall(many)
        assert one.closed_with() == protocol.CLOSE_TOO_FAST


@pytest.mark.parametrize(
    "text",
    [
        "nothing of the kind",
        '{"type": "goodbye"}',
        '{"type": "start"}',
        '{"type": "start", "run": "42"}',
        '{"type": "heartbeat", "running": 0, "load": 0.1, "more": true}',
        '{"type": "heartbeat", "running": 0, "load": NaN}',
        DEEP,
    ],
)
def test_what_is_not_the_protocol_ends_the_connection(
    place: Site, identity: Identity, text: str
) -> None:
    with peer(place, identity) as one:
        one.socket.send(text)
        assert one.closed_with() == protocol.CLOSE_NOT_THE_PROTOCOL


def test_a_binary_frame_is_not_the_protocol(place: Site, identity: Identity) -> None:
    with peer(place, identity) as one:
        one.socket.send(protocol.encode(protocol.Heartbeat(0, 0.0)).encode())
        assert one.closed_with() == protocol.CLOSE_NOT_THE_PROTOCOL


def test_a_frame_over_128_kib_ends_the_connection(place: Site, identity: Identity) -> None:
    with peer(place, identity) as one:
        one.socket.send(json.dumps({"type": "facts", "facts": {"a": "x" * 128 * 1024}}))
        assert one.closed_with() in (1009, protocol.CLOSE_NOT_THE_PROTOCOL)


def about(run: str, session: str) -> list[protocol.AgentFrame]:
    """Every frame an agent may say about a run."""
    nothing = "0" * 64
    return [
        protocol.Start(run),
        protocol.Output(run, 0, protocol.Stream.STDOUT, b"not yours"),
        protocol.Result(run, protocol.Outcome.SUCCEEDED, 0, {"summary": "done"}, 0, nothing),
        protocol.Reject(run, protocol.RejectCode.POLICY, "no"),
        protocol.Giveback(run, session),
        protocol.Fetch(run, nothing),
    ]


def test_frames_about_another_devices_run_change_nothing(place: Site) -> None:
    """It is claimed by its own device, then running there."""
    owner, stranger = enlist(place.services.database_url, 2, "two")
    with peer(place, owner) as mine, peer(place) as other:
        session = other.introduce(stranger).session
        execution = execute_on(place, [owner.id])
        mine.say(protocol.Poll((), True))
        run = mine.hear_a(protocol.Grant).run
        assert row_after(place, other, run, session) == ("claimed", None, 0)
        mine.say(protocol.Start(run))
        mine.hear_a(protocol.Go)
        assert row_after(place, other, run, session) == ("running", None, 0)
        told = {"summary": "done"}
        mine.say(protocol.Result(run, protocol.Outcome.FAILED, 1, told, 0, EMPTY_SHA256))
        assert mine.hear_a(protocol.Ack) == protocol.Ack(run, "failed")
    place.ended(execution)


def row_after(place: Site, other: Peer, run: str, session: str) -> tuple[str, int | None, int]:
    """The run's row once a stranger has said all there is to say about it."""
    for frame in about(run, session):
        answer = other.answer(frame)
        assert answer in (protocol.Stop(run, "unknown"), protocol.Ack(run, "unknown")), frame
    sql = "SELECT status, exit_code, output_next FROM scheduled_task_device_runs WHERE id = %s"
    ((status, code, sent),) = place.query(sql, run)
    return status, code, sent
