"""A server of one device, over a real WebSocket, that does what the protocol says and no more.

What it holds about runs is plain data that a test reads and changes; every answer it gives by
itself can be switched off.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

from websockets.asyncio.server import Server as SocketServer
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from devices.agent import protocol
from devices.agent.protocol import (
    AgentFrame,
    Challenge,
    Hello,
    Limits,
    Output,
    Reject,
    Result,
    ServerFrame,
    ServerKey,
    Terms,
    Welcome,
)

from .fake_ledger import FakeLedger
from .fake_runs import Run, new_id

DEADLINE_SECONDS = 60.0
F = TypeVar("F", bound=AgentFrame)


class FakeServer(FakeLedger):
    def __init__(self) -> None:
        super().__init__()
        self.server_id = new_id()
        self.device_id = new_id()
        self.private_key = protocol.new_private_key()
        self.keys: tuple[ServerKey, ...] = (
            ServerKey(self.key_id, protocol.public_key_of(self.private_key)),
        )
        self.device_key = b""
        self.limits = Limits(heartbeat_seconds=0.2, poll_seconds=0.2)
        self.seen: list[AgentFrame] = []
        self.hellos: list[Hello] = []
        self.takes_output = asyncio.Event()
        self.takes_output.set()
        self.loses_outputs = 0
        self.hangs_up_on: type[AgentFrame] | None = None
        self.hangs_up_after_taking_it = False
        self.problem: Exception | None = None
        self.files: dict[str, bytes] = {}
        self.fetch_signatures: list[str] = []
        self.fetched: list[str] = []
        self.gives_files = asyncio.Event()
        self.gives_files.set()
        self.closed_with: list[int | None] = []
        self.told_server_id = ""
        self.session = ""
        self.before_welcome: list[ServerFrame] = []
        self.connections = 0
        self._changed = asyncio.Condition()
        self._socket: ServerConnection | None = None
        self._listener: SocketServer | None = None
        self.port = 0

    @property
    def key_id(self) -> str:
        return protocol.key_id(protocol.public_key_of(self.private_key))

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: Any, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        self._listener = await serve(
            self._serve,
            "127.0.0.1",
            self.port,
            subprotocols=[Subprotocol(protocol.SUBPROTOCOL)],
            compression=None,
            process_request=self._give_file,
        )
        self.port = next(iter(self._listener.sockets)).getsockname()[1]

    async def close(self) -> None:
        """As when the web process dies: no listener, no connection."""
        if self._listener is not None:
            self._listener.close()
            await self._listener.wait_closed()
            self._listener = None

    async def hang_up(self, code: int = 1001) -> None:
        assert self._socket is not None
        await self._socket.close(code)

    def cut(self) -> None:
        """As when a cable is pulled: no close frame."""
        assert self._socket is not None
        self._socket.transport.abort()

    async def send_text(self, text: str | bytes) -> None:
        assert self._socket is not None
        await self._socket.send(text)

    # What a test does.

    def rotate(self) -> None:
        """A new signing key, at the end of the chain."""
        new = protocol.new_private_key()
        self.keys = protocol.extend_chain(
            self.keys, self.server_id, self.private_key, protocol.public_key_of(new)
        )
        self.private_key = new

    async def reconnected(self, act: Callable[[], object]) -> Hello:
        """The next hello, once `act` has broken the connection."""
        count = len(self.hellos)
        act()
        await self.until(lambda: len(self.frames(Hello)) > count, "a new session")
        return self.hellos[-1]

    def run(self, payload: dict[str, Any] | bytes, **changes: Any) -> Run:
        """A released run, signed; `changes` are to its terms."""
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        now = self.now
        values: dict[str, Any] = {
            "server_id": self.server_id,
            "run": new_id(),
            "device": self.device_id,
            "execution": new_id(),
            "task": new_id(),
            "attempt": 1,
            "scheduled_for": now,
            "kind": "command",
            "payload_sha256": hashlib.sha256(data).hexdigest(),
            "files": (),
            "run_as": None,
            "timeout_seconds": 600,
            "not_before": now - timedelta(seconds=1),
            "not_after": now + timedelta(hours=1),
        }
        terms = protocol.build_terms(Terms(**(values | changes)))
        run = Run(
            id=(values | changes)["run"],
            terms=terms,
            payload=data,
            signature=protocol.sign(self.private_key, protocol.run_bytes(terms)),
            key_id=self.key_id,
            timeout_seconds=(values | changes)["timeout_seconds"],
        )
        self.runs[run.id] = run
        return run

    async def grant(self, run: Run) -> None:
        run.state = "claimed"
        await self.send(run.grant)

    async def do(self, payload: dict[str, Any], **changes: Any) -> Run:
        run = self.run(payload, **changes)
        await self.grant(run)
        return run

    async def up_in_time(
        self, payload: dict[str, Any], is_up: Callable[[Run], bool], **changes: Any
    ) -> Run:
        """A run that got somewhere before its time limit, which is still to come; where the machine
        is too slow for one, the next run has a longer one."""
        for seconds in (3, 12, 45):
            run = await self.do(payload, timeout_seconds=seconds, **changes)
            async with asyncio.timeout(DEADLINE_SECONDS + seconds):
                while not (was_up := is_up(run)) and run.result is None:
                    assert self.problem is None, self.problem
                    await asyncio.sleep(0.01)
            if was_up:
                return run
        raise AssertionError("no run got there before its time limit")

    async def send(self, frame: ServerFrame) -> None:
        await self.until(lambda: self._socket is not None, "a session")
        socket = self._socket
        # A frame that meets a broken line is lost, as it would be for any server.
        with contextlib.suppress(ConnectionClosed):
            if socket is not None:
                await socket.send(protocol.encode(frame))

    async def ended(self, run: Run) -> Result:
        await self.until(lambda: run.result is not None, "a result")
        assert run.result is not None
        return run.result

    async def refused(self, run: Run) -> Reject:
        return await self.saw(Reject, run)

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        async def wait() -> None:
            async with self._changed:
                await self._changed.wait_for(lambda: self.problem is not None or holds())
            assert self.problem is None, self.problem

        try:
            await asyncio.wait_for(wait(), DEADLINE_SECONDS)
        except TimeoutError:
            raise AssertionError(f"waited for {what}; seen: {self.seen[-10:]}") from None

    async def saw(self, kind: type[F], run: Run | None = None, count: int = 1) -> F:
        """The newest frame of a type (and run), once there are `count` of them."""
        await self.until(lambda: len(self.frames(kind, run)) >= count, f"{count} {kind.__name__}")
        return self.frames(kind, run)[-1]

    def frames(self, kind: type[F], run: Run | None = None) -> list[F]:
        return [
            frame
            for frame in self.seen
            if isinstance(frame, kind) and (run is None or getattr(frame, "run", None) == run.id)
        ]

    # What the server does.

    async def _serve(self, socket: ServerConnection) -> None:
        self.connections += 1
        try:
            await self._welcome(socket)
            async for text in socket:
                await self._hear(socket, protocol.decode_from_agent(str(text)))
        except ConnectionClosed:
            pass
        except (AssertionError, protocol.ProtocolError) as problem:
            self.problem = problem
        finally:
            if self._socket is socket:
                self._socket = None
            async with self._changed:
                self.closed_with.append(socket.close_code)
                self._changed.notify_all()

    async def _give_file(self, socket: ServerConnection, request: Request) -> Response | None:
        """Plain HTTP, for what is not the agents' socket."""
        if request.path == protocol.SOCKET_PATH:
            return None
        async with self._changed:
            self.fetched.append(request.path)
            self.fetch_signatures.append(request.headers.get("X-DeployX-Signature", ""))
            self._changed.notify_all()
        await self.gives_files.wait()
        content = self.files.get(request.path)
        if content is None:
            return socket.respond(404, "There is no such file.\n")
        answer = socket.respond(200, "")
        del answer.headers["Content-Length"]
        answer.headers["Content-Length"] = str(len(content))
        answer.body = content
        return answer

    async def _hear(self, socket: ServerConnection, frame: AgentFrame) -> None:
        if isinstance(frame, Output) and frame.data:
            await self.takes_output.wait()
            if self.loses_outputs:
                self.loses_outputs -= 1
                return
        hangs_up = self.hangs_up_on is type(frame)
        if hangs_up:
            self.hangs_up_on = None
        answers = self.answers(frame) if self.hears(hangs_up) else []
        await self._note(frame)
        if hangs_up:
            socket.transport.abort()
            return
        for answer in answers:
            await socket.send(protocol.encode(answer))

    def hears(self, hangs_up: bool) -> bool:
        """Whether a frame counts: one on which the line breaks may have arrived or not."""
        return not hangs_up or self.hangs_up_after_taking_it

    async def _welcome(self, socket: ServerConnection) -> None:
        nonce = hashlib.sha256(new_id().encode()).digest()
        protocols = (protocol.SUBPROTOCOL,)
        challenge = Challenge(nonce, self.told_server_id or self.server_id, self.now, protocols)
        await socket.send(protocol.encode(challenge))
        hello = protocol.decode_from_agent(str(await socket.recv()))
        assert isinstance(hello, Hello)
        said = protocol.hello_bytes(nonce, self.server_id, self.device_id)
        assert hello.device_id == self.device_id
        assert protocol.verify(self.device_key, hello.signature, said)
        self.hellos.append(hello)
        for frame in self.before_welcome:
            await socket.send(protocol.encode(frame))
            await self._note(protocol.decode_from_agent(str(await socket.recv())))
        if self.hangs_up_on is Hello:
            self.hangs_up_on = None
            socket.transport.abort()
        self.session = new_id()
        welcome = Welcome(
            self.session, self.limits, self.now, self.keys, tuple(self.verdicts(hello))
        )
        await socket.send(protocol.encode(welcome))
        self._socket = socket
        await self._note(hello)

    async def _note(self, frame: AgentFrame) -> None:
        async with self._changed:
            self.seen.append(frame)
            self._changed.notify_all()
