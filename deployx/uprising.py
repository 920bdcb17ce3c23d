"""From a bare checkout to a running system, in order, and back down again."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from deployx import local_agent
from deployx.embedded import discovery
from deployx.embedded.home import Home
from deployx.embedded.postgres import Postgres
from deployx.embedded.valkey import Valkey
from deployx.supervisor import NeverReady, Supervisor
from deployx.system import CHECKOUT, System

ADMINISTRATOR = "admin"
READY_WITHIN_SECONDS = 90.0


class AlreadyUp(RuntimeError):
    """Another `up` runs in this checkout."""


class PortTaken(RuntimeError):
    """Somebody else listens where we would."""


@dataclass(slots=True)
class Uprising:
    """`run()` starts everything, and answers when it was asked to stop and all has ended."""

    port: int
    folder: Path
    with_agent: bool
    say: Callable[[str], None]
    _supervisor: Supervisor = field(init=False)
    _environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._supervisor = Supervisor(self.say)

    def ask_to_stop(self, signum: int = 0, frame: FrameType | None = None) -> None:
        self._supervisor.ask_to_stop(signum, frame)

    def run(self) -> None:
        """Raises AlreadyUp, PortTaken, NeverReady, NoWheel, Unsafe, CannotInitialise."""
        with ExitStack() as stack:
            self._lock(stack)
            _require_free(self.port)
            stack.callback(discovery.forget, self.folder)
            stack.callback(self._supervisor.stop)
            self._raise_system()
            self._supervisor.watch()
            self.say("Stopping…")
        self.say("Stopped.")

    def _lock(self, stack: ExitStack) -> None:
        self.folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        lock = stack.enter_context((self.folder / "up.lock").open("a"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            running = discovery.Running.read(self.folder)
            where = f" at {running.web_url}" if running else ""
            raise AlreadyUp(f"The system of this checkout is running already{where}.") from None

    def _raise_system(self) -> None:
        self._start_services()
        system = System(self.port, self.folder, self._environment)
        password, token = self._bootstrap(system)
        for program in (system.web(), system.worker(), system.beat()):
            if not self._supervisor.is_stopping:
                self._supervisor.launch(program)
        self._wait_until_ready(system)
        if self.with_agent and not self._supervisor.is_stopping:
            self._enroll(system, token)
            self._supervisor.start(system.agent())
        if not self._supervisor.is_stopping:
            self._welcome(system, password)

    def _start_services(self) -> None:
        """Embedded ones for what the environment names no own of."""
        own = {name: os.environ.get(name, "") for name in ("DATABASE_URL", "REDIS_URL")}
        addresses = dict(own)
        if not all(own.values()):
            home = Home.of(self.folder)
            if home.is_moved:
                self.say(f"Started by root: data is kept in {home.data}.")
            if not own["DATABASE_URL"]:
                addresses["DATABASE_URL"] = self._start_postgres(Postgres(home))
            if not own["REDIS_URL"]:
                valkey = Valkey(home)
                valkey.prepare()
                self._supervisor.start(valkey.program())
                addresses["REDIS_URL"] = valkey.url
        public = os.environ.get("DEPLOYX_PUBLIC_URL", f"http://127.0.0.1:{self.port}")
        discovery.Running(addresses["DATABASE_URL"], addresses["REDIS_URL"], public).write(
            self.folder
        )
        self._environment = {
            **addresses,
            "DEPLOYX_PUBLIC_URL": public,
            "DEPLOYX_SECRET_KEY": os.environ.get("DEPLOYX_SECRET_KEY")
            or discovery.secret(self.folder, "secret.key"),
        }

    def _start_postgres(self, postgres: Postgres) -> str:
        if not (postgres.folder / "PG_VERSION").exists():
            self.say("Making the database…")
        postgres.prepare()
        self._supervisor.start(postgres.program())
        postgres.create_database()
        return postgres.url

    def _bootstrap(self, system: System) -> tuple[str, str]:
        """The first administrator's password and a token for the local agent, each where it is new."""
        argv = ["bootstrap", "--administrator", ADMINISTRATOR]
        if not self.with_agent or local_agent.is_enrolled(system.agent_folder):
            return self._manage(*argv).strip(), ""
        *password, token = self._manage(*argv, "--with-token", "the local agent").split()
        return "".join(password), token

    def _manage(self, *argv: str) -> str:
        """Runs another command of ours to its end; what it printed. Raises NeverReady."""
        done = subprocess.run(
            [sys.executable, "manage.py", *argv],
            cwd=CHECKOUT,
            env={**os.environ, **self._environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise NeverReady(f"manage.py {argv[0]} failed with {done.returncode}.")
        return done.stdout

    def _wait_until_ready(self, system: System) -> None:
        """Worker and beat have said that they live; a dead one is started again meanwhile."""
        if not self._supervisor.watch_until(system.is_ready, READY_WITHIN_SECONDS):
            raise NeverReady(f"Not ready within {READY_WITHIN_SECONDS:.0f} s: see the lines above.")

    def _enroll(self, system: System, token: str) -> None:
        """Makes this machine a device as any other would become one, unless it is one already."""
        if not token:
            public_url = self._environment["DEPLOYX_PUBLIC_URL"]
            local_agent.point_at(system.agent_folder, system.address, public_url)
            return
        done = subprocess.run(
            [
                sys.executable, "-m", "devices.agent", "enroll", system.address,
                "--token", "-", "--name", socket.gethostname(),
                "--state-dir", str(system.agent_folder),
            ],
            cwd=CHECKOUT,
            input=token + "\n",
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise NeverReady(f"The local agent could not enrol: {done.stderr.strip()}")
        self.say(done.stdout.splitlines()[0])

    def _welcome(self, system: System, password: str) -> None:
        self.say(f"DeployX runs at {self._environment['DEPLOYX_PUBLIC_URL']}")
        if password:
            self.say(f"Sign in as {ADMINISTRATOR} with the password {password}")
            self.say("It is shown this once; change it there, or with manage.py changepassword.")
        self.say("Ctrl-C ends it.")


def new_password() -> str:
    """For a person to type once: 20 characters, over 100 bits."""
    return secrets.token_urlsafe(15)


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            reason = error.strerror or str(error)
            raise PortTaken(
                f"Port {port} cannot be used ({reason}). Choose another: PORT=8001 make up."
            ) from error
