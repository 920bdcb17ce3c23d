"""What this device has promised and done, in a file that outlives any crash.

One line a step: sixteen hex digits of the BLAKE2b of the JSON after them. Every line is on the
disk before the agent acts on it. A last line that was being written when the power went is cut;
a bad line anywhere else means that something this device did may be missing, so the journal says
`damaged`, the lines after it are read all the same, and nothing new may start from it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from . import durable
from .protocol import (
    TOMBSTONE_SECONDS,
    Evidence,
    JournalState,
    ProtocolError,
    Terms,
    decode_time,
    encode_time,
    parse_terms,
)
from .protocol.fields import build, decode_bytes, encode_bytes, table, unbuild

MAX_BYTES = 4 * 1024 * 1024
_EVIDENCE = table(Evidence)
_DIGEST_BYTES = 8
_FORGOTTEN = "forgotten"
_OUT_OF_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class JournalFull(Exception):
    """There is no room for the line; nothing was written and the agent may go on."""


class JournalFailed(Exception):
    """The disk did not take a line, or cannot say whether it did: the agent has to end."""


@dataclass(frozen=True, slots=True)
class ShimMark:
    """Which process runs a run, so that no other that got its pid is taken for it."""

    pid: int
    start: str
    boot_id: str


@dataclass(slots=True)
class Entry:
    """A run the server has not settled with this device. `terms` and `payload` are the exact
    bytes of the grant; both are None only where the journal was damaged."""

    run: str
    state: JournalState
    terms: bytes | None = None
    payload: bytes | None = None
    not_after: datetime | None = None
    timeout_seconds: int | None = None
    shim: ShimMark | None = None
    evidence: Evidence | None = None
    output_end: int = 0


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A settled run, remembered so that no late grant can start it again."""

    run: str
    state: JournalState
    not_after: datetime | None
    evidence: Evidence | None
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far the tombstones that were let go of reach: the latest of each."""

    not_before: datetime
    not_after: datetime

    def covers(self, terms: Terms) -> bool:
        """Whether a run of these terms may be one that was forgotten. Such a run has neither time
        later than the horizon's; one that was released after all of them has."""
        return terms.not_before <= self.not_before and terms.not_after <= self.not_after


class Journal:
    """Opens or begins the journal at `path`. One process at a time (the agent's own lock), but
    for others that only read and leave a half-written line alone."""

    def __init__(
        self, path: Path, max_bytes: int = MAX_BYTES, *, is_only_read: bool = False
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self.entries: dict[str, Entry] = {}
        self.tombstones: dict[str, Tombstone] = {}
        self.horizon: Horizon | None = None
        self.bad_lines: list[int] = []
        self._descriptor = -1
        try:
            whole = self._read_lines() if is_only_read else self._open_whole()
        except OSError as problem:
            raise JournalFailed(f"cannot open {path}: {problem}") from problem
        for number, line in enumerate(whole.split(b"\n")[:-1], 1):
            record = _read(line)
            if record is None or not self._applies(record):
                self.bad_lines.append(number)

    @property
    def damaged(self) -> bool:
        return bool(self.bad_lines)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def claim(self, run: str, terms: bytes, payload: bytes, not_after: datetime) -> Entry:
        """Also for a run that is claimed already and was signed anew."""
        self._record(
            do="claim",
            run=run,
            terms=encode_bytes(terms),
            payload=encode_bytes(payload),
            not_after=encode_time(not_after),
        )
        return self.entries[run]

    def go(self, run: str, timeout_seconds: int) -> None:
        """The point of no return: on the disk before anything of the run exists."""
        self._record(do="go", run=run, timeout_seconds=timeout_seconds)

    def spawned(self, run: str, shim: ShimMark) -> None:
        self._record(do="spawned", run=run, pid=shim.pid, start=shim.start, boot_id=shim.boot_id)

    def ended(self, run: str, state: JournalState, evidence: Evidence, output_end: int) -> None:
        """`state` is ended, or unknown when no exit record tells how. Raises ProtocolError for what
        could not be read again, which is not written."""
        told = unbuild(_EVIDENCE, evidence)
        build(Evidence, _EVIDENCE, told, 0)
        self._record(do="ended", run=run, state=state.value, result=told, output_end=output_end)

    def settle(self, run: str) -> None:
        """The server has this run's end: from now on it is a tombstone."""
        self._record(**_tombstone_record(_buried(self.entries[run])))

    def erase(self, run: str) -> None:
        """Forget a claim that never was given a go."""
        self._record(do="erase", run=run)

    def forget(self, now: datetime) -> None:
        """Let go of tombstones a week past their run's last possible start, and keep how far they
        reached: `now` is what the server says, and where that is far ahead and then right again, by
        mistake or on purpose, a run that is forgotten must not start a second time. As long as time
        goes forward the horizon lies a week back, where nothing may start in any case; after a leap it
        still lies at real past runs, and what is released later is beyond it. Nothing is written:
        the file has the tombstones themselves until it is compacted, and then the horizon."""
        oldest = now - timedelta(seconds=TOMBSTONE_SECONDS)
        for run, stone in list(self.tombstones.items()):
            if stone.not_after is not None and stone.not_after < oldest:
                self._widen(stone.not_before or stone.not_after, stone.not_after)
                del self.tombstones[run]

    def _widen(self, not_before: datetime, not_after: datetime) -> None:
        known = self.horizon or Horizon(not_before, not_after)
        self.horizon = Horizon(max(known.not_before, not_before), max(known.not_after, not_after))

    def _record(self, **record: Any) -> None:
        line = _line(record)
        size = os.fstat(self._descriptor).st_size
        try:
            durable.write_all(self._descriptor, line)
        except OSError as problem:
            self._cut(size)
            if problem.errno in _OUT_OF_SPACE:
                raise JournalFull(str(problem)) from problem
            raise JournalFailed(f"cannot write {self._path}: {problem}") from problem
        self._sync()
        self._apply(record)
        # A damaged journal is evidence, and is left as it was found.
        if size + len(line) > self._max_bytes and not self.damaged:
            self._compact()

    def _sync(self) -> None:
        # After a failed fsync the kernel may have dropped the pages and will call the next one
        # a success, so there is nothing to retry.
        try:
            os.fsync(self._descriptor)
        except OSError as problem:
            raise JournalFailed(f"cannot sync {self._path}: {problem}") from problem

    def _cut(self, size: int) -> None:
        try:
            os.ftruncate(self._descriptor, size)
        except OSError as problem:
            raise JournalFailed(f"cannot cut {self._path}: {problem}") from problem

    def _compact(self) -> None:
        """What still matters, in a new file; without room for it the old one goes on."""
        lines = b"".join(_line(record) for record in self._essence())
        self._max_bytes = max(self._max_bytes, 2 * len(lines))
        try:
            durable.write(self._path, lines)
        except OSError as problem:
            if problem.errno in _OUT_OF_SPACE:
                with contextlib.suppress(OSError):
                    self._path.with_name(self._path.name + ".new").unlink()
                return
            raise JournalFailed(f"cannot compact {self._path}: {problem}") from problem
        self.close()
        self._descriptor = _open(self._path)

    def _essence(self) -> Iterator[dict[str, Any]]:
        if self.horizon is not None:
            yield _horizon_record(self.horizon)
        for stone in self.tombstones.values():
            yield _tombstone_record(stone)
        for entry in self.entries.values():
            yield from _entry_records(entry)

    def _read_lines(self) -> bytes:
        """Everything up to the last line end: what follows it is a write that was cut off."""
        data = self._path.read_bytes() if self._path.exists() else b""
        return data[: data.rfind(b"\n") + 1]

    def _open_whole(self) -> bytes:
        is_new = not self._path.exists()
        self._descriptor = _open(self._path)
        if is_new:
            durable.sync_folder(self._path.parent)
        whole = self._read_lines()
        if len(whole) != os.fstat(self._descriptor).st_size:
            os.ftruncate(self._descriptor, len(whole))
            os.fsync(self._descriptor)
        return whole

    def _applies(self, record: dict[str, Any]) -> bool:
        try:
            self._apply(record)
        except (KeyError, TypeError, ValueError):
            return False
        return True

    def _apply(self, record: dict[str, Any]) -> None:
        run = record["run"]
        step = record["do"]
        if step == "tombstone" and run == _FORGOTTEN:
            until = decode_time("not_after", record["not_after"])
            # Without the other where an agent that knows no horizon has compacted it.
            self._widen(_read_tombstone(record).not_before or until, until)
        elif step == "tombstone":
            self.entries.pop(run, None)
            self.tombstones[run] = _read_tombstone(record)
        elif step == "erase":
            self.entries.pop(run, None)
        else:
            # A step of a run whose claim is not there: its line is one of the bad ones.
            entry = self.entries.setdefault(run, Entry(run, JournalState.CLAIMED))
            _advance(entry, step, record)


def _advance(entry: Entry, step: str, record: dict[str, Any]) -> None:
    if step == "claim":
        entry.terms = decode_bytes("terms", record["terms"])
        entry.payload = decode_bytes("payload", record["payload"])
        entry.not_after = decode_time("not_after", record["not_after"])
    elif step == "go":
        entry.state = JournalState.GO
        entry.timeout_seconds = record["timeout_seconds"]
    elif step == "spawned":
        entry.state = JournalState.GO
        entry.shim = ShimMark(record["pid"], record["start"], record["boot_id"])
    elif step == "ended":
        entry.evidence = build(Evidence, _EVIDENCE, record["result"], 0)
        entry.output_end = record["output_end"]
        entry.state = JournalState(record["state"])
    else:
        raise ValueError(f"no such step: {step}")


def _entry_records(entry: Entry) -> Iterator[dict[str, Any]]:
    run = entry.run
    if entry.terms is not None and entry.payload is not None and entry.not_after is not None:
        yield {
            "do": "claim",
            "run": run,
            "terms": encode_bytes(entry.terms),
            "payload": encode_bytes(entry.payload),
            "not_after": encode_time(entry.not_after),
        }
    if entry.timeout_seconds is not None:
        yield {"do": "go", "run": run, "timeout_seconds": entry.timeout_seconds}
    if entry.shim is not None:
        mark = entry.shim
        yield {
            "do": "spawned",
            "run": run,
            "pid": mark.pid,
            "start": mark.start,
            "boot_id": mark.boot_id,
        }
    if entry.evidence is not None:
        yield {
            "do": "ended",
            "run": run,
            "state": entry.state.value,
            "result": unbuild(_EVIDENCE, entry.evidence),
            "output_end": entry.output_end,
        }


def _buried(entry: Entry) -> Tombstone:
    released = _not_before(entry.terms)
    return Tombstone(entry.run, entry.state, entry.not_after, entry.evidence, released)


def _not_before(terms: bytes | None) -> datetime | None:
    with contextlib.suppress(ProtocolError):
        return None if terms is None else parse_terms(terms).not_before
    return None  # claimed by a version that knew more than this one


def _tombstone_record(stone: Tombstone) -> dict[str, Any]:
    return {
        "do": "tombstone",
        "run": stone.run,
        "state": stone.state.value,
        "not_before": _encoded(stone.not_before),
        "not_after": _encoded(stone.not_after),
        "result": None if stone.evidence is None else unbuild(_EVIDENCE, stone.evidence),
    }


def _horizon_record(horizon: Horizon) -> dict[str, Any]:
    """As a tombstone, of no run: so an agent that knows no horizon can read the journal too."""
    state, until = JournalState.UNKNOWN, horizon.not_after
    return _tombstone_record(Tombstone(_FORGOTTEN, state, until, None, horizon.not_before))


def _read_tombstone(record: dict[str, Any]) -> Tombstone:
    told = record["result"]
    return Tombstone(
        record["run"],
        JournalState(record["state"]),
        _decoded("not_after", record["not_after"]),
        None if told is None else build(Evidence, _EVIDENCE, told, 0),
        _decoded("not_before", record.get("not_before")),
    )


def _encoded(time: datetime | None) -> str | None:
    return None if time is None else encode_time(time)


def _decoded(name: str, time: str | None) -> datetime | None:
    return None if time is None else decode_time(name, time)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)


def _line(record: dict[str, Any]) -> bytes:
    body = json.dumps(record, separators=(",", ":")).encode()
    return _digest(body) + b" " + body + b"\n"


def _read(line: bytes) -> dict[str, Any] | None:
    digest, _, body = line.partition(b" ")
    if digest != _digest(body):
        return None
    record = json.loads(body)
    return record if isinstance(record, dict) else None


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST_BYTES).hexdigest().encode()
