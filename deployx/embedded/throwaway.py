"""Services for one run of the tests or of a benchmark: own sockets, own data, nothing left behind."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from deployx.embedded.home import Home
from deployx.embedded.postgres import Postgres
from deployx.embedded.valkey import Valkey


@dataclass(slots=True)
class Throwaway:
    """`start()` answers when both are ready; `stop()` ends them and removes the data."""

    database_url: str = ""
    redis_url: str = ""
    _stack: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="deployx-test-"))
        folder.chmod(0o711)
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        home = Home.of(folder)
        postgres, valkey = Postgres(home, is_durable=False), Valkey(home, is_durable=False)
        postgres.prepare()
        valkey.prepare()
        processes = [service.program().start(subprocess.DEVNULL) for service in (postgres, valkey)]
        for process in processes:
            self._stack.callback(process.stop)
        for process in processes:
            process.wait_until_ready()
        postgres.create_database()
        self.database_url, self.redis_url = postgres.url, valkey.url

    def stop(self) -> None:
        self._stack.close()
