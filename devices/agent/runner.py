"""Shims as the agent sees them: started, found again after a restart, watched to their end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from . import cgroups, durable, shim
from .journal import ShimMark
from .leftovers import kill_leftovers
from .platforms import boot_id, detached_options, nudge, signals_held, start_mark
from .protocol import JsonObject, Outcome, ProtocolError, parse_object
from .protocol.fields import Count, ExitCode, Field, build, matching, one_of, table

log = logging.getLogger("deployx_agent.runner")

_LOOK_EVERY_SECONDS = 0.25
_PACKAGE = __package__ or "deployx_agent"


class CannotSpawn(Exception):
    """The machine would not start a process; nothing of the run exists."""


_DIGEST = re.compile(r"(?:[0-9a-f]{64})?")


def _object(name: str, value: Any) -> JsonObject:
    if type(value) is not dict:
        raise ProtocolError(f"{name}: not an object")
    return value


@dataclass(frozen=True, slots=True)
class Ending:
    """`outcome` is UNKNOWN where the shim is gone and left no exit record. The rest is what
    the shim said of the output. The detail may be more than the protocol takes."""

    outcome: Annotated[Outcome, one_of(Outcome)]
    exit_code: ExitCode
    detail: Annotated[JsonObject, Field(_object)]
    output_end: Count = 0
    spool_end: Count = 0
    output_length: Count = 0
    output_sha256: Annotated[str, matching(_DIGEST, "a SHA-256 or nothing")] = ""


_ENDING = table(Ending)


class Runner:
    """`prepare`, journal the mark, `release`: a shim that is not released does nothing, so the
    journal always knows the process before the run can begin."""

    def __init__(self) -> None:
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def prepare(self, folder: Path) -> ShimMark:
        """Start the shim of a run, waiting for its work. Raises CannotSpawn."""
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            durable.sync_folder(folder.parent)
            with (folder / shim.LOG).open("wb") as output, signals_held():
                child = subprocess.Popen(
                    [sys.executable, "-P", "-m", f"{_PACKAGE}.shim", str(folder)],
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    cwd=os.path.abspath(os.sep),
                    env=_environment(),
                    **detached_options(),
                )
        except OSError as problem:
            raise CannotSpawn(str(problem)) from problem
        self._children[child.pid] = child
        return ShimMark(child.pid, start_mark(child.pid) or "", boot_id())

    async def release(self, mark: ShimMark, work: shim.Work) -> None:
        """Hand the work over. A shim that died meanwhile is found by `end`."""
        child = self._children[mark.pid]
        assert child.stdin is not None
        with contextlib.suppress(OSError):
            await asyncio.to_thread(_hand_over, child, work.write())

    def is_alive(self, mark: ShimMark) -> bool:
        return mark.boot_id == boot_id() and start_mark(mark.pid) == mark.start

    async def end(self, mark: ShimMark | None, folder: Path) -> Ending:
        """Wait until the shim is gone and answer what it left. Where it was killed, nothing that
        can be found of the run goes on without it."""
        if mark is not None:
            await self._wait(mark)
            child = self._children.pop(mark.pid, None)
            if child is not None:
                child.wait()
            else:
                _collect(mark.pid)
        ending = read_ending(folder)
        if ending.outcome is Outcome.UNKNOWN:
            await asyncio.to_thread(_end_leftovers, folder)
        return ending

    def cancel(self, mark: ShimMark, folder: Path) -> None:
        """Ask the shim to end its run; the file stays, the signal only makes it quick. The
        server repeats what it wants cancelled, and so a file that cannot be made is tried again."""
        try:
            (folder / shim.CANCEL).touch(mode=0o600)
        except OSError as problem:
            log.error("cannot tell the run in %s to end: %s", folder, problem)
        if self.is_alive(mark):
            nudge(mark.pid)

    async def _wait(self, mark: ShimMark) -> None:
        descriptor = _pidfd(mark.pid)
        try:
            # The descriptor first, the identity after: from here on the pid cannot change hands.
            while self.is_alive(mark):
                if descriptor is None:
                    await asyncio.sleep(_LOOK_EVERY_SECONDS)
                else:
                    await _readable(descriptor)
                    return
        finally:
            if descriptor is not None:
                os.close(descriptor)


def read_ending(folder: Path) -> Ending:
    try:
        record = parse_object((folder / shim.EXIT).read_bytes())
        ending: Ending = build(Ending, _ENDING, record, 0)
    except (OSError, ProtocolError):
        said = "the process that ran it is gone and left no exit record"
        return Ending(Outcome.UNKNOWN, None, {"summary": said})
    return ending


def _collect(pid: int) -> None:
    """After an update this process is another program, and may still be the shim's parent."""
    if hasattr(os, "WNOHANG"):
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _end_leftovers(folder: Path) -> None:
    group = cgroups.of(folder.name)
    if group is not None:
        group.kill()
    if folder.exists() and (killed := kill_leftovers(folder.name)):
        log.error("run %s lost its shim: killed what was left, %s", folder.name, killed)
    if group is not None:
        group.discard()


def _environment() -> dict[str, str]:
    """The shim's own; every command gets one built anew."""
    root = Path(__file__).resolve().parents[_PACKAGE.count(".") + 1]
    kept = ("SYSTEMROOT", "TEMP", "TMP", "PATH", "LD_LIBRARY_PATH")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "PYTHONPATH": str(root),
    }


def _hand_over(child: subprocess.Popen[bytes], data: bytes) -> None:
    assert child.stdin is not None
    with child.stdin as pipe:
        pipe.write(data)


def _pidfd(pid: int) -> int | None:
    opener = getattr(os, "pidfd_open", None)
    if opener is None:
        return None
    try:
        return int(opener(pid))
    except OSError:
        return None


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        loop.remove_reader(descriptor)
        if not done.done():
            done.set_result(None)

    loop.add_reader(descriptor, tell)
    try:
        await done
    finally:
        loop.remove_reader(descriptor)
