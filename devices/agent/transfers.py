"""Files that runs ask for, brought here while they wait.

A run's shim writes a wish into its folder; the agent, which has the line to the server, asks for an
address, downloads, verifies, and lays the file into the run's folder. A file that two runs want comes
once, and what was cut off goes on where it stopped, after a restart of the agent as well.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import math
import os
import random
import shutil
import threading
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from .config import Settings, StateDir
from .downloading import STRETCH_SECONDS, Again, Never, NoRoom, Stale, Wanted, download
from .identity import DeviceKey, Server
from .line import Line
from .protocol import FETCH_SIGNATURE_HEADER, Fetch, Source, fetch_bytes
from .wishes import HELD_UP, HERE, REFUSED, Wish, write

log = logging.getLogger("deployx_agent.transfers")

_LOOK_SECONDS = 0.2
_MOST_PAUSE_SECONDS = 30.0
_ASK_AGAIN_SECONDS = 10.0
_KEPT_SECONDS = 86_400.0
_AT_ONCE = 4
_MOST_REFUSED = 10


class Transfers:
    """`attach` and `detach` as sessions begin and end; what is under way waits for the next one."""

    def __init__(self, state: StateDir, settings: Settings, key: DeviceKey) -> None:
        self._cache = state.files
        self._settings = settings
        self._key = key
        self._line: Line | None = None
        self._server: Server | None = None
        self._attached = asyncio.Event()
        self._answers: dict[tuple[str, str], asyncio.Future[str]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._room = asyncio.Semaphore(_AT_ONCE)

    def attach(self, line: Line, server: Server) -> None:
        self._line, self._server = line, server
        self._attached.set()

    def detach(self) -> None:
        self._line = None
        self._attached.clear()

    def on_source(self, source: Source) -> None:
        answer = self._answers.get((source.run, source.sha256))
        if answer is not None and not answer.done():
            answer.set_result(source.url)

    def refuses(self, run: str, reason: str) -> bool:
        """Whether a `stop` was the answer to a fetch of this run, which then fails."""
        waiting = [one for (owner, _), one in self._answers.items() if owner == run]
        for answer in waiting:
            if not answer.done():
                answer.set_exception(Never(f"the server does not give it: {reason}"))
        return bool(waiting)

    def sweep(self, kept_seconds: float = _KEPT_SECONDS) -> None:
        """Forgets files that no run has or waits for and nobody asked for since then."""
        with contextlib.suppress(OSError):
            for path in self._cache.iterdir():
                with contextlib.suppress(OSError):
                    self._forget(path, time.time() - kept_seconds)

    def _forget(self, path: Path, asked_before: float) -> None:
        lock = self._locks.get(path.stem)
        found = path.stat()
        is_ours_alone = path.suffix == ".part" or found.st_nlink == 1
        if is_ours_alone and found.st_mtime < asked_before and not (lock and lock.locked()):
            path.unlink()

    def make_room(self, needed: int = 0) -> None:
        """Where the disk is short of room for that, what was only kept for later runs goes."""
        free = shutil.disk_usage(self._cache.parent).free
        if free - needed < self._settings.min_free_bytes:
            self.sweep(kept_seconds=0.0)

    @contextlib.asynccontextmanager
    async def serving(self, run: str, folder: Path, files: Sequence[str]) -> AsyncIterator[None]:
        """Inside it, the run's wishes for these files, which are the signed ones, are fulfilled."""
        if not files:
            yield
            return
        serving = asyncio.get_running_loop().create_task(self._serve(run, folder, set(files)))
        try:
            yield
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    async def _serve(self, run: str, folder: Path, files: set[str]) -> None:
        begun: set[str] = set()
        async with asyncio.TaskGroup() as tasks:
            while True:
                for wish in Wish.every(folder):
                    if wish.sha256 in files - begun:
                        begun.add(wish.sha256)
                        tasks.create_task(self._fulfil(run, folder, wish))
                await asyncio.sleep(_LOOK_SECONDS)

    async def _fulfil(self, run: str, folder: Path, wish: Wish) -> None:
        try:
            async with self._locks.setdefault(wish.sha256, asyncio.Lock()), self._room:
                path = await self._bring(run, folder, wish)
                await asyncio.to_thread(_lay, path, folder / HERE / wish.sha256)
        except (Never, OSError) as problem:
            log.warning("run %s: file %s: %s", run, wish.sha256[:12], problem)
            await self._say(folder / REFUSED / wish.sha256, str(problem))
        except Exception as problem:
            # The outermost place: nobody else would tell the run, which waits.
            log.exception("run %s: file %s", run, wish.sha256[:12])
            await self._say(folder / REFUSED / wish.sha256, f"{type(problem).__name__}: {problem}")

    async def _bring(self, run: str, folder: Path, wish: Wish) -> Path:
        """The file in the cache. Tries for as long as the run lives, an outage of the server
        included; what holds it up is said in the run's folder. Raises Never."""
        path = self._cache / wish.sha256
        tries = refused = 0
        is_emptied = False
        while not path.exists():
            url = await self._address(run, wish.sha256)
            try:
                await self._download(url, path, wish)
                continue
            except Stale as problem:
                refused, said = refused + 1, str(problem)
                pause = float(min(tries, 5))
            except NoRoom:
                if is_emptied:
                    raise
                self.sweep(kept_seconds=0.0)
                is_emptied = True
                continue
            except Again as problem:
                refused, said = 0, str(problem)
                pause = random.uniform(0, min(_MOST_PAUSE_SECONDS, 2**tries))
            if refused == _MOST_REFUSED:
                raise Never(f"{refused} addresses in a row were no good: {said}")
            log.info("run %s: file %s: %s", run, wish.sha256[:12], said)
            if refused != 1:  # an address that has run out is no trouble yet
                await self._say(folder / HELD_UP / wish.sha256, said)
            await asyncio.sleep(pause)
            tries = min(tries + 1, 10)
        return path

    async def _say(self, place: Path, reason: str) -> None:
        with contextlib.suppress(OSError):  # no room to say so: the run's time limit ends it
            await asyncio.to_thread(write, place, reason)

    async def _download(self, url: str, path: Path, wish: Wish) -> None:
        await asyncio.to_thread(path.parent.mkdir, exist_ok=True, mode=0o700)
        self.make_room(wish.size or 0)
        address, headers = self._call(url)
        wanted = Wanted(wish.sha256, wish.size, self._settings.min_free_bytes)
        is_wanted = threading.Event()
        is_wanted.set()
        course = asyncio.ensure_future(
            asyncio.to_thread(
                download,
                address,
                path,
                wanted,
                headers=headers,
                go_on=is_wanted.is_set,
                stretch_seconds=STRETCH_SECONDS if url.startswith("/") else math.inf,
            )
        )
        try:
            await asyncio.shield(course)
        except asyncio.CancelledError:
            # The lock is held until nobody writes any more: the next run goes on with what is there.
            is_wanted.clear()
            await asyncio.wait({course})
            raise

    def _call(self, url: str) -> tuple[str, dict[str, str]]:
        """A path is this server's, and signed for; an address elsewhere is asked as anybody would.
        Raises Never."""
        assert self._server is not None
        if not url.startswith("/"):
            if not url.startswith("https:") and self._server.url.startswith("https:"):
                raise Never("the server names an address that is no https:// address")
            return url, {}
        signature = self._key.sign(fetch_bytes(url))
        return self._server.url + url, {
            FETCH_SIGNATURE_HEADER: base64.b64encode(signature).decode()
        }

    async def _address(self, run: str, sha256: str) -> str:
        """Asks until it is answered, through as many sessions as that takes. Raises Never."""
        while True:
            await self._attached.wait()
            answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            self._answers[run, sha256] = answer
            try:
                if self._line is not None:
                    self._line.post(Fetch(run, sha256))
                async with asyncio.timeout(_ASK_AGAIN_SECONDS):
                    return await answer
            except TimeoutError:
                continue
            finally:
                del self._answers[run, sha256]


def _lay(path: Path, place: Path) -> None:
    """The cached file into a run's folder, by a second name: the cache may forget its own."""
    place.parent.mkdir(exist_ok=True, mode=0o700)
    path.touch()
    with contextlib.suppress(FileExistsError):
        os.link(path, place)
