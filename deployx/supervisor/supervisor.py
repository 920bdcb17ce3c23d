"""The loop over all programs of a system."""

from __future__ import annotations

import os
import selectors
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

from deployx.supervisor.program import Process, Program

LOOK_SECONDS = 0.25
SILENCE_LOOK_SECONDS = 5.0
SHORTEST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
# One that lived for this long is started again at once; one that dies sooner, later and later.
HEALTHY_AFTER_SECONDS = 60.0


@dataclass(slots=True)
class _Supervised:
    program: Program
    process: Process | None = None
    pause_seconds: float = SHORTEST_PAUSE_SECONDS
    start_at: float = 0.0
    silence_look_at: float = 0.0
    rest: bytes = b""


@dataclass(slots=True)
class Supervisor:
    """Programs end in the opposite order of their start. `say` takes a line for the person."""

    say: Callable[[str], None]
    _supervised: list[_Supervised] = field(default_factory=list)
    _outputs: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _stopping: bool = False

    def start(self, program: Program, *, ready_within_seconds: float = 60.0) -> Process:
        """Starts one and waits until it is ready. Raises NeverReady."""
        process = self.launch(program)
        try:
            process.wait_until_ready(ready_within_seconds)
        finally:
            self._show_output(0)
        return process

    def launch(self, program: Program) -> Process:
        """Starts one, ready or not."""
        one = _Supervised(program)
        self._supervised.append(one)
        return self._launch(one)

    def ask_to_stop(self, signum: int = 0, frame: FrameType | None = None) -> None:
        """A signal handler: `watch` returns soon after."""
        self._stopping = True

    def processes(self) -> list[Process]:
        """Those that run now, in the order of their start."""
        return [one.process for one in self._supervised if one.process is not None]

    @property
    def is_stopping(self) -> bool:
        return self._stopping

    def watch(self) -> None:
        """Shows what the programs say and keeps them alive, until it is asked to stop."""
        self.watch_until(lambda: False, float("inf"))

    def watch_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """The same until the condition holds; False where it did not in time."""
        deadline, ask_at = time.monotonic() + seconds, 0.0
        while not self._stopping and time.monotonic() < deadline:
            self._show_output(LOOK_SECONDS)
            for one in self._supervised:
                self._look_after(one)
            if time.monotonic() >= ask_at:
                if condition():
                    return True
                ask_at = time.monotonic() + LOOK_SECONDS
        return self._stopping

    def stop(self) -> None:
        """Ends every program, the last started first."""
        while self._supervised:
            one = self._supervised.pop()
            if one.process is None or one.process.has_ended:
                continue
            one.process.ask_to_stop()
            deadline = time.monotonic() + one.program.patience_seconds
            # A program that waits for its output to be read would never end unread.
            while not one.process.has_ended and time.monotonic() < deadline:
                self._show_output(0.05)
            if not one.process.has_ended:
                self.say(f"{one.program.name} does not end; it is killed.")
            one.process.kill()
        self._show_output(0)

    def _look_after(self, one: _Supervised) -> None:
        now = time.monotonic()
        if one.process is None:
            if now >= one.start_at:
                self._launch(one)
        elif one.process.has_ended:
            self._note_death(one, now)
        elif self._has_gone_silent(one, now):
            self.say(f"{one.program.name} lives but does no work; it is started again.")
            one.process.kill()

    def _has_gone_silent(self, one: _Supervised, now: float) -> bool:
        if one.program.is_silent is None or now < one.silence_look_at:
            return False
        one.silence_look_at = now + SILENCE_LOOK_SECONDS
        return one.program.is_silent()

    def _note_death(self, one: _Supervised, now: float) -> None:
        assert one.process is not None
        if now - one.process.started_at > HEALTHY_AFTER_SECONDS:
            one.pause_seconds = SHORTEST_PAUSE_SECONDS
        code = one.process.popen.returncode
        why = f"signal {-code}" if code < 0 else f"exit code {code}"
        where = f" (see {one.program.log})" if one.program.log else ""
        self.say(
            f"{one.program.name} ended ({why}); it is started again in {one.pause_seconds:g} s.{where}"
        )
        one.process, one.start_at = None, now + one.pause_seconds
        one.pause_seconds = min(LONGEST_PAUSE_SECONDS, one.pause_seconds * 2)

    def _launch(self, one: _Supervised) -> Process:
        one.silence_look_at = time.monotonic() + one.program.silence_after_seconds
        if one.program.log is not None:
            with one.program.log.open("ab") as log:
                one.process = one.program.start(log)
            return one.process
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        self._outputs.register(reading, selectors.EVENT_READ, one)
        try:
            one.process = one.program.start(writing)
        finally:
            os.close(writing)
        return one.process

    def _show_output(self, seconds: float) -> None:
        for key, _events in self._outputs.select(seconds):
            descriptor = key.fd
            data = os.read(descriptor, 65_536)
            self._show(key.data, data)
            if not data:
                self._outputs.unregister(descriptor)
                os.close(descriptor)

    def _show(self, one: _Supervised, data: bytes) -> None:
        """Whole lines, each with the program's name before it."""
        *lines, one.rest = (one.rest + data).split(b"\n")
        if not data and one.rest:
            lines, one.rest = [one.rest], b""
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            sys.stdout.write(f"{one.program.name:<8} | {text}\n")
        if lines:
            sys.stdout.flush()
