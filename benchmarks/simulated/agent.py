"""One simulated agent: its connections, one after another, and the runs of its journal."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.simulated.enlisting import Identity
from benchmarks.simulated.habits import Habits
from benchmarks.simulated.run import NEVER, STILL_OPEN, Run
from benchmarks.simulated.tally import RunOnDevice, Tally
from benchmarks.simulated.work import written
from benchmarks.wire import Wire
from devices.agent import protocol

TICK_SECONDS = 0.1
FRAMES_PER_TICK = 3
"""Of output, as the real agent paces itself."""
FACTS: Mapping[str, Any] = {
    "hostname": "simulated", "os": "linux", "os_name": "Debian GNU/Linux", "os_version": "13",
    "kernel": "6.12.0", "architecture": "amd64", "cpus": 2, "memory_bytes": 4 * 2**30,
    "disk_bytes": 40 * 2**30, "boot_id": "00000000-0000-0000-0000-000000000000",
    "addresses": ["192.0.2.1", "2001:db8::1"], "agent_version": "1.0.0",
    "agent_account": "root", "kinds": ["command", "file_deployment", "software_deployment"],
    "python": "3.11.9", "shells": ["sh", "bash"], "package_managers": ["apt-get"],
}  # fmt: skip


@dataclass(slots=True)
class Office:
    """What the agents of one process share."""

    address: str
    habits: Habits
    loop: asyncio.AbstractEventLoop
    tally: Tally = field(default_factory=Tally)
    at_work: set[Agent] = field(default_factory=set)

    @property
    def socket(self) -> str:
        parts = urlsplit(self.address)
        return f"ws://{parts.netloc}{protocol.SOCKET_PATH}"

    async def look_after_runs(self) -> None:
        """Moves on every agent that has a run, until cancelled."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            for agent in list(self.at_work):
                agent.work()


class Agent:
    __slots__ = (
        "_beat_at", "_beat_timer", "_key", "_limits", "_office", "_opening", "_poll_timer", "_runs",
        "_server_key", "_session", "_stones", "_tries", "_wanted", "_wire", "identity", "sources",
    )  # fmt: skip

    def __init__(self, identity: Identity, office: Office) -> None:
        self.identity = identity
        self._office = office
        self._key = Ed25519PrivateKey.from_private_bytes(identity.private_key)
        self._wire: Wire | None = None
        self._opening: asyncio.Task[None] | None = None
        self._session = ""
        self._limits = protocol.Limits()
        self._server_key = b""
        self._runs: dict[str, Run] = {}
        self._stones: dict[str, Run] = {}
        self._beat_timer: asyncio.TimerHandle | None = None
        self._poll_timer: asyncio.TimerHandle | None = None
        self._beat_at = 0.0
        self._tries = 0
        self._wanted = False
        self.sources: dict[str, str] = {}
        """By digest, the last address that the server gave for it."""

    # Connections.

    def connect(self) -> None:
        self._wanted = True
        if self._wire is None and self._opening is None:
            self._opening = self._office.loop.create_task(self._open())

    def disconnect(self) -> None:
        """Gone without a word, and not back before `connect`; its runs go on."""
        self._wanted = False
        if self._wire is not None:
            self._wire.abort()

    async def _open(self) -> None:
        parts = urlsplit(self._office.address)
        try:
            await self._office.loop.create_connection(
                self._new_wire, parts.hostname or "", parts.port or 80
            )
        except OSError as problem:
            self._office.tally.refused[type(problem).__name__] += 1
            self._again()
        finally:
            self._opening = None

    def _new_wire(self) -> Wire:
        wire = Wire.of_client(self._office.socket, self._opened, (protocol.SUBPROTOCOL,))
        wire.on_close = self._closed
        return wire

    def _opened(self, wire: Wire) -> None:
        self._wire = wire
        wire.on_text = self._hear
        if not self._wanted:
            wire.abort()

    def _closed(self, wire: Wire) -> None:
        for timer in (self._beat_timer, self._poll_timer):
            if timer is not None:
                timer.cancel()
        tally = self._office.tally
        if self._session:
            self._session = ""
            tally.online -= 1
        if self._wire is wire:
            self._wire = None
            tally.closed[wire.close_code or 1006] += 1
        else:
            tally.refused[str(wire.refused_with)] += 1
        self._again()

    def _again(self) -> None:
        habits = self._office.habits
        if not (self._wanted and habits.reconnects):
            return
        longest = min(
            habits.reconnect_max_seconds, habits.reconnect_min_seconds * 2 ** min(self._tries, 16)
        )
        self._tries += 1
        self._office.loop.call_later(random.uniform(0, longest), self._reconnect)

    def _reconnect(self) -> None:
        if self._wanted:
            self.connect()

    # Frames.

    def _say(self, frame: protocol.AgentFrame) -> None:
        if self._wire is not None:
            self._wire.send(protocol.encode(frame))

    def _hear(self, text: str) -> None:
        frame = protocol.decode_from_server(text)
        _HANDLERS[type(frame)](self, frame)

    def _on_challenge(self, frame: protocol.Challenge) -> None:
        signed = protocol.hello_bytes(frame.nonce, frame.server_id, self.identity.id)
        self._say(
            protocol.Hello(
                self.identity.id,
                protocol.SUBPROTOCOL,
                str(FACTS["agent_version"]),
                dict(FACTS),
                self._key.sign(signed),
                tuple(run.entry() for run in self._runs.values()),
            )
        )

    def _on_welcome(self, frame: protocol.Welcome) -> None:
        self._session, self._limits, self._tries = frame.session, frame.limits, 0
        if frame.server_keys:
            self._server_key = frame.server_keys[-1].public_key
        self._office.tally.online += 1
        self._office.tally.welcomes += 1
        for verdict in frame.verdicts:
            self._obey(verdict.run, verdict.verdict)
        for run in self._runs.values():
            run.enter_session(self._office.habits)
        self._poll()
        self._beat()
        self.work()

    def _poll(self) -> None:
        holding = tuple(protocol.Holding(run.id, run.state) for run in self._runs.values())
        self._say(protocol.Poll(holding, True))
        seconds = self._office.habits.poll_seconds or self._limits.poll_seconds
        self._poll_timer = self._office.loop.call_later(_around(seconds), self._poll)

    def _beat(self) -> None:
        self._beat_at = time.perf_counter()
        running = sum(run.starts for run in self._runs.values())
        self._say(protocol.Heartbeat(running, 0.1))
        seconds = self._office.habits.heartbeat_seconds or self._limits.heartbeat_seconds
        self._beat_timer = self._office.loop.call_later(_around(seconds), self._beat)

    def _obey(self, run_id: str, verdict: protocol.VerdictWord) -> None:
        run = self._runs.get(run_id)
        if run is None:
            return
        if verdict is protocol.VerdictWord.DROP:
            self._forget(run)
        elif verdict is protocol.VerdictWord.KILL:
            run.is_cancelled = True
        elif verdict is protocol.VerdictWord.ACK:
            self._settle(run, "acknowledged")

    def _on_grant(self, frame: protocol.Grant) -> None:
        self._office.tally.grants += 1
        stone = self._stones.get(frame.run)
        if stone is not None and stone.evidence is not None:
            self._say(stone.result())
            return
        if self._office.habits.verifies and not self._is_genuine(frame):
            reject = protocol.Reject(frame.run, protocol.RejectCode.BAD_SIGNATURE, "not genuine")
            self._say(reject)
            return
        run = self._runs.setdefault(frame.run, Run(frame.run))
        if run.is_claimed:
            self._office.at_work.add(self)
            run.said_at = NEVER
            self._carry_on(run)

    def _is_genuine(self, grant: protocol.Grant) -> bool:
        signed = protocol.run_bytes(grant.terms)
        if not protocol.verify(self._server_key, grant.signature, signed):
            return False
        terms = protocol.parse_terms(grant.terms)
        digest = hashlib.sha256(grant.payload).hexdigest()
        known = (grant.run, self.identity.id, digest)
        return (terms.run, terms.device, terms.payload_sha256) == known

    def _on_go(self, frame: protocol.Go) -> None:
        run = self._runs.get(frame.run)
        if run is None or not run.is_claimed:
            return
        self._office.tally.starts += 1
        run.begin(self._office.loop.time())
        self._carry_on(run)

    def _on_stop(self, frame: protocol.Stop) -> None:
        run = self._runs.get(frame.run)
        if run is not None and run.is_claimed:
            self._forget(run)

    def _on_cancel(self, frame: protocol.Cancel) -> None:
        self._cancel(frame.run)

    def _cancel(self, run_id: str) -> None:
        run = self._runs.get(run_id)
        if run is not None and run.evidence is None:
            run.is_cancelled = True

    def _on_output_ack(self, frame: protocol.OutputAck) -> None:
        if (run := self._runs.get(frame.run)) is not None:
            run.acknowledged(frame.next, self._office.loop.time())
            self._carry_on(run)

    def _on_ack(self, frame: protocol.Ack) -> None:
        run = self._runs.get(frame.run)
        if run is not None and frame.state not in STILL_OPEN:
            self._office.tally.results += 1
            self._settle(run, frame.state)

    def _on_heartbeat_ack(self, frame: protocol.HeartbeatAck) -> None:
        if self._beat_at:
            self._office.tally.heartbeats.append(time.perf_counter() - self._beat_at)
            self._beat_at = 0.0
        for run_id in frame.cancel:
            self._cancel(run_id)
        if not frame.session_ok and self._wire is not None:
            self._wire.abort()

    def _on_recall(self, frame: protocol.Recall) -> None:
        known = {**self._stones, **self._runs}
        entries = tuple(known[run].entry() for run in frame.runs if run in known)
        self._say(protocol.Recalled(entries, False))

    def _on_source(self, frame: protocol.Source) -> None:
        self.sources[frame.sha256] = frame.url

    def _overlook(self, frame: protocol.ServerFrame) -> None:
        """Updates are nothing a simulated device has a use for."""

    # Runs.

    def work(self) -> None:
        """Once a tick: output that has come meanwhile, ends, and what was not answered."""
        for run in list(self._runs.values()):
            self._carry_on(run)

    def _carry_on(self, run: Run) -> None:
        now, habits = self._office.loop.time(), self._office.habits
        if run.state is protocol.JournalState.GO and not run.has_time_left(now, habits):
            run.end(now, habits)
        if not self._session:
            return
        if run.is_claimed:
            self._repeat(run, now, protocol.Start(run.id))
        elif run.is_asking:
            question = protocol.Output(run.id, 0, protocol.Stream.STDOUT, b"")
            self._repeat(run, now, question)
        elif run.is_delivered:
            self._repeat(run, now, run.result())
        else:
            self._stream(run, now)

    def _repeat(self, run: Run, now: float, frame: protocol.AgentFrame) -> None:
        """Says it, unless it was said a moment ago."""
        if now - run.said_at >= self._office.habits.repeat_seconds:
            run.said_at = now
            self._say(frame)

    def _stream(self, run: Run, now: float) -> None:
        habits = self._office.habits
        if run.is_stuck(now):
            run.sent = run.acked
        there = run.written_at(now, habits)
        for _ in range(FRAMES_PER_TICK):
            room = self._limits.output_window_bytes - (run.sent - run.acked)
            size = min(there - run.sent, room, habits.chunk_bytes)
            if size <= 0:
                return
            if run.sent == run.acked:
                run.moved_at = now
            data = written(run.id, run.sent, run.sent + size)
            self._say(protocol.Output(run.id, run.sent, protocol.Stream.STDOUT, data))
            run.sent += size

    def _settle(self, run: Run, state: str) -> None:
        run.settled = state
        self._stones[run.id] = run
        self._forget(run)

    def _forget(self, run: Run) -> None:
        self._runs.pop(run.id, None)
        if not self._runs:
            self._office.at_work.discard(self)

    def ask_for(self, sha256: str) -> None:
        """For the address of a file of its runs."""
        for run in self._runs.values():
            self._say(protocol.Fetch(run.id, sha256))

    def told(self) -> list[RunOnDevice]:
        known = [*self._stones.values(), *self._runs.values()]
        return [run.told(self.identity.id) for run in known]


_HANDLERS: dict[type[protocol.ServerFrame], Callable[[Agent, Any], None]] = {
    protocol.Challenge: Agent._on_challenge,
    protocol.Welcome: Agent._on_welcome,
    protocol.Grant: Agent._on_grant,
    protocol.Go: Agent._on_go,
    protocol.Stop: Agent._on_stop,
    protocol.Cancel: Agent._on_cancel,
    protocol.OutputAck: Agent._on_output_ack,
    protocol.Ack: Agent._on_ack,
    protocol.HeartbeatAck: Agent._on_heartbeat_ack,
    protocol.Recall: Agent._on_recall,
    protocol.Source: Agent._on_source,
    protocol.Update: Agent._overlook,
}


def _around(seconds: float) -> float:
    return seconds * random.uniform(1 - protocol.SPREAD, 1 + protocol.SPREAD)
