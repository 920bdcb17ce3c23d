"""A whole system, started as `make up` starts it, for tests that use it from outside."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from deployx.embedded.discovery import Running
from deployx.embedded.home import Home
from tests import prepared

CHECKOUT = prepared.CHECKOUT
T = TypeVar("T")
_held: list[socket.socket] = []
BY_HAND = {"recurrence_type": "once", "recurrence_config": {"run_at": None}}
"""Of a task that nothing but a person starts."""


@dataclass(slots=True, kw_only=True)
class Served:
    """A system as it is used from outside. `api` is signed in as the first administrator with a
    token; `home` is its DEPLOYX_HOME."""

    home: Path
    port: int
    environment: dict[str, str]
    api: httpx.Client = field(default_factory=httpx.Client)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def manage(
        self, *argv: str, stdin: str = "", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Another command in the same checkout, which finds the running services by itself."""
        done = subprocess.run(
            [sys.executable, "manage.py", *argv],
            cwd=CHECKOUT,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def get(self, path: str, **query: Any) -> Any:
        answer = self.api.get(path, params=query)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        return answer.json()

    def post(self, path: str, body: Any = None, status: int = 201) -> Any:
        answer = self.api.post(path, json=body if body is not None else {})
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        return answer.json()

    def device(self) -> dict[str, Any]:
        """The local agent's device, once it is online."""

        def online() -> dict[str, Any] | None:
            # The first that ever enrolled; other tests' agents may be there as well.
            listed: list[dict[str, Any]] = self.get("/api/devices", ordering="enrolled_at")[
                "results"
            ]
            return listed[0] if listed and listed[0]["status"] == "online" else None

        return until(online, what="the local agent online")

    def ended(self, execution_id: str, seconds: float = 60.0) -> dict[str, Any]:
        """The execution, once it has ended."""

        def find() -> dict[str, Any] | None:
            execution: dict[str, Any] = self.get(f"/api/schedule/executions/{execution_id}")
            return execution if execution["completed_at"] else None

        return until(find, seconds, what=f"the end of execution {execution_id}")

    def executions(self, task_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(f"/api/schedule/tasks/{task_id}/executions")[
            "results"
        ]
        return found

    def runs(self, execution_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(f"/api/schedule/executions/{execution_id}/runs")[
            "results"
        ]
        return found

    def output(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/api/schedule/runs/{run_id}/output")
        return found

    def sign_in(self) -> None:
        """A token for `api`; the web process answers."""
        token = self.manage("apitoken", "add", "--user", "admin").stdout.strip()
        headers = {"Authorization": f"Bearer {token}"}
        self.api = httpx.Client(base_url=self.address, headers=headers, timeout=60)


@dataclass(slots=True, kw_only=True)
class RunningSystem(Served):
    """One that `make up` runs: `process` is its supervisor, and `log` what that says."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def database_url(self) -> str:
        """Of its PostgreSQL."""
        running = Running.read(self.home)
        assert running is not None
        return running.database_url

    def child(self, *words: str) -> psutil.Process:
        """The one program of the system whose command line has all these words."""
        return until(lambda: self._find(words), what=f"a process with {words}")

    def _find(self, words: tuple[str, ...]) -> psutil.Process | None:
        for child in psutil.Process(self.process.pid).children():
            try:
                line = child.cmdline()
            except psutil.Error:
                continue
            if all(word in line for word in words):
                return child
        return None

    def replacement(self, old: psutil.Process, *words: str) -> psutil.Process:
        """The program that the supervisor started in place of one that died."""

        def another() -> psutil.Process | None:
            found = self._find(words)
            return found if found is not None and found.pid != old.pid else None

        return until(another, what=f"a new process with {words}")


def until(condition: Callable[[], T | None], seconds: float = 60.0, *, what: str) -> T:
    """The first true answer of a condition that is asked again and again, and once more when the
    time is over: nobody may have run meanwhile, we neither."""
    deadline = time.monotonic() + seconds
    is_over = False
    while not (found := condition()):
        assert not is_over, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)
        is_over = time.monotonic() >= deadline
    return found


def free_port() -> int:
    """One that is nobody else's: on Linux it is held for as long as this process lives, and a server
    (SO_REUSEADDR) may listen there all the same, again and again."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    port: int = held.getsockname()[1]
    if sys.platform == "linux":
        _held.append(held)
    else:
        held.close()
    return port


def clean_environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Nothing of the test run's own settings: what a person's shell would have."""
    ours = ("DATABASE_URL", "REDIS_URL", "DJANGO_", "DEPLOYX_", "PYTEST_", "COV_", "PORT")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "DEPLOYX_HOME": str(home), **(more or {})}


@contextmanager
def running_system(**settings: str) -> Iterator[RunningSystem]:
    """Starts `manage.py up` on a free port with data of its own; ends it with Ctrl-C and checks that
    nothing of it is left."""
    with tempfile.TemporaryDirectory(prefix="deployx-up-") as folder:
        home = Path(folder)
        home.chmod(0o711)
        prepared.begin(Home.of(home))
        port = free_port()
        environment = clean_environment(home, {"PORT": str(port), **settings})
        log = home / "up.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "up"],
                cwd=CHECKOUT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        system = RunningSystem(
            home=home, port=port, process=process, environment=environment, log=log
        )
        try:
            _wait_until_up(system)
            system.sign_in()
            yield system
        except BaseException:
            sys.stderr.write(log.read_text(errors="replace")[-8_000:])
            raise
        finally:
            system.api.close()
            _end(system)


def _wait_until_up(system: RunningSystem) -> None:
    def said() -> bool:
        assert system.process.poll() is None, system.log.read_text(errors="replace")
        return "DeployX runs at" in system.log.read_text(errors="replace")

    until(lambda: said() or None, 400, what="the system up")


def _end(system: RunningSystem) -> None:
    if system.process.poll() is not None:
        return
    family = psutil.Process(system.process.pid).children(recursive=True)
    system.process.send_signal(signal.SIGINT)
    try:
        system.process.wait(180)  # it gives each of its programs 20 s
    finally:
        _gone, left = psutil.wait_procs(family, timeout=60)
        for one in left:
            with suppress(psutil.Error):
                one.kill()
        system.process.kill()
        system.process.wait()
    assert not left, f"left behind: {[one.pid for one in left]}"
