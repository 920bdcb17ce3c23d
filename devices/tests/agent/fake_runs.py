"""Runs as the fake server knows them."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from devices.agent.protocol import Grant, Hello, JournalState, Output, Result


def new_id() -> str:
    return str(uuid.uuid4())


@dataclass
class Run:
    """A run as this server knows it: its signed bytes and what came back."""

    id: str
    terms: bytes
    payload: bytes
    signature: bytes
    key_id: str
    timeout_seconds: int
    state: str = "pending"
    output: bytes = b""
    streams: dict[str, bytes] = field(default_factory=dict)
    next: int = 0
    skipped: int = 0
    result: Result | None = None
    starts: int = 0
    results: int = 0
    """How many different ones: until it is acknowledged, the same one is told again and again."""

    @property
    def parsed_terms(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.terms)
        return parsed

    @property
    def grant(self) -> Grant:
        return Grant(self.id, self.key_id, self.terms, self.signature, self.payload)

    def take_output(self, frame: Output) -> None:
        """Appends what is next, cuts what is known, leaves what comes too early."""
        if frame.offset - frame.skipped <= self.next < frame.offset:
            self.skipped += frame.offset - self.next
            self.next = frame.offset
        if frame.offset <= self.next:
            fresh = frame.data[self.next - frame.offset :]
            self.output += fresh
            self.streams[frame.stream] = self.streams.get(frame.stream, b"") + fresh
            self.next += len(fresh)


def journal_of(hello: Hello) -> dict[str, JournalState]:
    return {entry.run: entry.state for entry in hello.journal}
