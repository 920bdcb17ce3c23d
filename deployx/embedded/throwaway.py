"""Services for one run of the tests or of a benchmark: own sockets, own data, nothing left behind."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from deployx.embedded.home import Home
from deployx.embedded.postgres import Postgres
from deployx.embedded.valkey import Valkey
from deployx.supervisor import Process, Program


@dataclass(slots=True)
class Throwaway:
    """`start()` answers when both are ready; `stop()` ends them and removes the data. `is_durable`
    True keeps the data over a `restart`; `begin` may give PostgreSQL data to begin with."""

    is_durable: bool = False
    begin: Callable[[Home], None] | None = None
    database_url: str = ""
    redis_url: str = ""
    _running: dict[str, Process] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="deployx-test-"))
        folder.chmod(0o711)
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        home = Home.of(folder)
        if home.is_moved:
            self._stack.callback(shutil.rmtree, home.data.parent, ignore_errors=True)
        if self.begin:
            self.begin(home)
        postgres = Postgres(home, is_durable=self.is_durable)
        valkey = Valkey(home, is_durable=self.is_durable)
        postgres.prepare()
        valkey.prepare()
        self._stack.callback(self._end_all)
        for service in (postgres, valkey):
            self._run(service.program())
        for process in self._running.values():
            process.wait_until_ready()
        postgres.create_database()
        self.database_url, self.redis_url = postgres.url, valkey.url

    def restart(self, name: str) -> None:
        """Ends `postgres` or `redis` and starts it again; answers when it is ready."""
        self._running[name].stop()
        self.start_again(name)

    def process(self, name: str) -> Process:
        """`postgres` or `redis`, for whoever means to harm it."""
        return self._running[name]

    def start_again(self, name: str) -> None:
        """Starts one that has ended; answers when it is ready. Raises NeverReady."""
        self._run(self._running[name].program).wait_until_ready()

    def stop(self) -> None:
        self._stack.close()

    def _run(self, program: Program) -> Process:
        self._running[program.name] = program.start(subprocess.DEVNULL)
        return self._running[program.name]

    def _end_all(self) -> None:
        for process in self._running.values():
            process.stop()
