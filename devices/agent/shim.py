"""One run, in a process and session of its own that outlives the agent.

The agent writes the work to its standard input; a shim that does not get all of it does nothing.
Everything it has to say it leaves in the run's folder: `spool` (the output as it comes) and
`exit.json`, which appears whole when the run has ended. The agent may put `cancel` there.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from . import cgroups, details, durable, kinds, wishes
from .kinds import FileFacts, Finished, JsonObject, NotFetched, Stopped
from .kinds.contract import StreamName
from .outlet import Outlet
from .platforms import SYSTEM, become_reaper, release_signals
from .spool import SpoolWriter
from .tree import Tree

SPOOL, EXIT, CANCEL, LOG = "spool", "exit.json", "cancel", "shim.log"
_RESERVE = "exit.reserve"
_RESERVED_BYTES = 32 * 1024
_UNDOING_SECONDS = 30.0
_LOOK_SECONDS = 0.05
_MOST_ANSWER_BYTES = 64 * 1024

log = logging.getLogger("deployx_agent.shim")


@dataclass(frozen=True, slots=True)
class Work:
    """What the agent hands over. `deadline` is a reading of the monotonic clock."""

    run: str
    kind: str
    payload: JsonObject
    run_as: str | None
    environment: dict[str, str]
    deadline: float
    spool_bytes: int
    grace_seconds: float
    memory: str
    min_free_bytes: int

    def write(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def read(cls, data: bytes) -> Work:
        return cls(**json.loads(data))


@dataclass(frozen=True, slots=True)
class Exit:
    """The content of `exit.json`; `output_end` counts every byte read, dropped ones too; `spool_end`
    is where the spool ends, length and digest are of what went into it."""

    outcome: str
    exit_code: int | None
    detail: JsonObject
    output_end: int = 0
    spool_end: int = 0
    output_length: int = 0
    output_sha256: str = ""


class Alarm:
    """What the main thread sleeps on. A socket, because an Event must not be set from a signal
    handler: the handler may interrupt the very wait that holds the Event's lock."""

    def __init__(self) -> None:
        self._ear, self._bell = socket.socketpair()
        self._ear.setblocking(False)
        self._bell.setblocking(False)

    def listen_to_signals(self) -> None:
        signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)

    def ring(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._bell.send(b"!")

    def wait(self, seconds: float) -> None:
        if select.select([self._ear], [], [], max(0.0, seconds))[0]:
            with contextlib.suppress(BlockingIOError):
                while self._ear.recv(4096):
                    pass


class Shim:
    """Runs one Work in `folder` and leaves its Exit there."""

    def __init__(self, folder: Path, work: Work) -> None:
        self._folder = folder
        self._work = work
        self._alarm = Alarm()
        self._told_to_end = False
        self._are_all_gone = True
        self._tree = Tree(self._alarm.ring, cgroups.make(work.run))
        self._spool = SpoolWriter(folder / SPOOL, work.spool_bytes)
        self._outlet = Outlet(self._spool)
        self._finished: Finished | None = None
        self._so_far: Finished | None = None
        self._waits_for: FileFacts | None = None

    # What a kind is offered (kinds.Context).

    @property
    def system(self) -> str:
        return SYSTEM

    def execute(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        working_directory: str | None = None,
        run_as: str | None = None,
    ) -> int:
        variables = {**(environment or {}), **self._work.environment}
        account = run_as or self._work.run_as
        return self._tree.run(argv, variables, working_directory, account, self._outlet.ends)

    def ask(
        self, argv: Sequence[str], *, environment: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        variables = {**(environment or {}), **self._work.environment}
        with tempfile.TemporaryFile(dir=self.scratch, buffering=0) as printed:
            output = (printed, self._outlet.ends[1])
            code = self._tree.run(argv, variables, None, self._work.run_as, output)
            printed.seek(0)
            return code, printed.read(_MOST_ANSWER_BYTES) or b""

    def write(self, stream: StreamName, data: bytes) -> None:
        self._spool.append(stream, data)

    def check(self) -> None:
        self._tree.check()

    def fetch(self, file: FileFacts) -> Path:
        place = self._folder / wishes.HERE / file.sha256
        refused = self._folder / wishes.REFUSED / file.sha256
        wishes.Wish(file.sha256, file.size).write(self._folder)
        self._waits_for = file
        while not place.exists():
            if refused.exists():
                raise NotFetched(f"{file.name}: {refused.read_text()}")
            self.check()
            time.sleep(_LOOK_SECONDS)
        self._waits_for = None
        return place

    @property
    def scratch(self) -> Path:
        folder = self._folder / "scratch"
        folder.mkdir(exist_ok=True, mode=0o700)
        return folder

    @property
    def run_id(self) -> str:
        return self._work.run

    @property
    def execution(self) -> str:
        return self._work.environment["DEPLOYX_EXECUTION_ID"]

    @property
    def memory(self) -> Path:
        folder = Path(self._work.memory)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    @property
    def min_free_bytes(self) -> int:
        return self._work.min_free_bytes

    # The shim's own course.

    def run(self) -> None:
        reserve = self._folder / _RESERVE
        with contextlib.suppress(OSError):
            reserve.write_bytes(b"\0" * _RESERVED_BYTES)
        self._listen()
        become_reaper()
        thread = threading.Thread(target=self._run_kind, daemon=True)
        thread.start()
        stopped = self._watch(thread)
        if stopped is not None:
            self._are_all_gone = self._end_all()
            # Takes back what it had begun. Where it has not by then, the agent does.
            thread.join(_UNDOING_SECONDS)
            if self._finished is not None and self._finished.succeeded:
                stopped = None  # it was past the point where it could be stopped
        self._tree.leave()
        self._outlet.drain()
        self._spool.close()
        self._outlet.leave_open(self._folder)
        reserve.unlink(missing_ok=True)
        _leave(self._folder, self._exit(stopped))

    def _listen(self) -> None:
        def woken(number: int, frame: object) -> None:
            self._told_to_end |= number == signal.SIGTERM

        # A handler, not SIG_IGN: what is ignored here would be ignored by every command too.
        for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGCHLD"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), woken)
        self._alarm.listen_to_signals()
        release_signals()

    def _run_kind(self) -> None:
        try:
            kind = kinds.get(self._work.kind)
            payload = kind.accept(self._work.payload)
            self._finished = kind.run(payload, self)
        except Stopped as stopped:
            self._so_far = stopped.so_far
        except Exception as problem:
            log.exception("the kind %s broke", self._work.kind)
            self._finished = Finished(False, None, f"{type(problem).__name__}: {problem}")
        finally:
            self._alarm.ring()

    def _watch(self, thread: threading.Thread) -> str | None:
        """Until the kind is done, answering None; else the reason to stop before that."""
        while True:
            self._tree.reap()
            if self._finished is not None or not thread.is_alive():
                return None
            if reason := self._reason_to_stop():
                return reason
            self._alarm.wait(min(1.0, self._work.deadline - time.monotonic()))

    def _reason_to_stop(self) -> str | None:
        if (self._folder / CANCEL).exists():
            return "cancelled"
        if time.monotonic() >= self._work.deadline:
            return "timed_out"
        return "failed" if self._told_to_end else None

    def _end_all(self) -> bool:
        """Whether nothing of the run is left."""
        self._tree.stop()
        until = time.monotonic() + self._work.grace_seconds
        while self._tree.reap() and time.monotonic() < until:
            self._alarm.wait(0.1)
        return self._tree.kill()

    def _exit(self, stopped: str | None) -> Exit:
        if stopped is not None:
            said = {
                "cancelled": "cancelled while it ran",
                "timed_out": "stopped at its time limit",
                "failed": "stopped by a signal to its supervisor, as when the machine shuts down",
            }
            if not self._are_all_gone:
                # Nobody may take it for ended: the kill is not confirmed.
                stopped, summary = "failed", f"{said[stopped]}, but some of it could not be ended"
            else:
                summary = said[stopped]
            so_far = self._so_far or self._finished
            detail = _detail(so_far) if so_far is not None else {}
            return self._said(stopped, None, detail | {"summary": summary + self._held_up()})
        finished = self._finished or Finished(False, None, "the run ended without an answer")
        outcome = "succeeded" if finished.succeeded else "failed"
        return self._said(outcome, finished.exit_code, _detail(finished))

    def _held_up(self) -> str:
        """What the run was still waiting for when it was stopped."""
        if self._waits_for is None:
            return ""
        try:
            why = (self._folder / wishes.HELD_UP / self._waits_for.sha256).read_text()
        except OSError:
            why = "it was on its way, or the server did not answer"
        return f", while waiting for the file {self._waits_for.name}: {why[:500]}"

    def _said(self, outcome: str, exit_code: int | None, detail: JsonObject) -> Exit:
        spool = self._spool
        return Exit(
            outcome,
            exit_code,
            detail,
            output_end=spool.end,
            spool_end=spool.spooled_end,
            output_length=spool.length,
            output_sha256=spool.sha256,
        )


def _leave(folder: Path, record: Exit) -> None:
    """The exit record is what the run comes to: it is tried until the disk takes it."""
    record = replace(record, detail=details.fit(record.detail))
    while True:
        try:
            written = json.dumps(asdict(record), ensure_ascii=False)
            durable.write(folder / EXIT, written.encode())
            return
        except FileNotFoundError:
            log.error("the folder %s is gone, and with it whoever would ask", folder)
            return
        except OSError as problem:
            log.error("cannot write the exit record: %s", problem)
            time.sleep(1.0)


def _detail(finished: Finished) -> JsonObject:
    detail: dict[str, Any] = {"summary": finished.summary}
    if finished.changed is not None:
        detail["changed"] = finished.changed
    if finished.reboot_required is not None:
        detail["reboot_required"] = finished.reboot_required
    for name in ("installed", "kept", "steps"):
        if told := getattr(finished, name):
            detail[name] = list(told)
    return detail


def main() -> None:
    folder = Path(sys.argv[1])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        shim = Shim(folder, Work.read(sys.stdin.buffer.read()))
    except (OSError, TypeError, ValueError) as problem:
        said = f"never got as far as starting anything: {problem}"
        _leave(folder, Exit("failed", None, {"summary": said}))
    else:
        shim.run()
    # Not sys.exit: a kind's thread that is still stuck in something must not keep us.
    os._exit(0)


if __name__ == "__main__":
    main()
