"""A whole system whose programs the test starts, kills and starts again itself, at once and as often
as it likes, where `make up` would wait longer and longer for one that keeps dying."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg

from deployx.embedded.discovery import Running
from deployx.embedded.throwaway import Throwaway
from deployx.supervisor import NeverReady, Process
from deployx.system import System
from tests import prepared
from tests.running import Served, clean_environment, free_port, until

PROGRAMS = ("web", "worker", "beat")
SERVICES = ("postgres", "redis")
SILENCE_LOOK_SECONDS = 5.0


@dataclass(slots=True, kw_only=True)
class Site(Served):
    """Programs are started by the thread that entered `site()`: Linux ends them with it."""

    services: Throwaway
    system: System
    kills: int = 0
    _programs: dict[str, Process] = field(default_factory=dict)
    _asks_at: float = 0.0

    def start(self, name: str) -> None:
        """web, worker or beat, where it does not run; answers when it works."""
        self.launch(name)
        self._programs[name].wait_until_ready(180)

    def launch(self, name: str) -> None:
        """The same, without waiting."""
        if name not in self._programs or self._programs[name].has_ended:
            with (self.home / f"{name}.log").open("ab") as log:
                self._programs[name] = getattr(self.system, name)().start(log.fileno())

    def kill(self, name: str) -> None:
        """SIGKILL to one of the programs or services, and nothing to its children: what the
        kernel's memory killer does."""
        self.kills += 1
        one = self._process(name)
        one.popen.kill()
        one.popen.wait()

    def start_again(self, name: str) -> None:
        """What a supervisor does after a death, without its pause."""
        if name in PROGRAMS:
            self.start(name)
            return

        # PostgreSQL refuses while processes of the one that died still end.
        def is_back() -> bool:
            with suppress(NeverReady):
                self.services.start_again(name)
                return True
            return False

        until(lambda: is_back() or None, what=f"{name} again")

    def revive(self) -> None:
        """Starts again whatever has ended, services first, and answers when all of it works, also
        what had been launched before."""
        for name in SERVICES:
            if self.has_ended(name):
                self.start_again(name)
        for name in PROGRAMS:
            self.start(name)

    def look_after(self) -> None:
        """What a supervisor does meanwhile: starts again what has ended by itself, and now and then
        asks who lives without working, to end it first."""
        if time.monotonic() >= self._asks_at:
            self._asks_at = time.monotonic() + SILENCE_LOOK_SECONDS
            for one in self._programs.values():
                age = time.monotonic() - one.started_at
                ask = one.program.is_silent
                if ask is not None and age > one.program.silence_after_seconds and ask():
                    one.kill()
        for name in PROGRAMS:
            self.launch(name)

    def has_ended(self, name: str) -> bool:
        return self._process(name).has_ended

    def pid(self, name: str) -> int:
        return self._process(name).pid

    @contextmanager
    def hung(self, name: str) -> Iterator[None]:
        """SIGSTOP to a program or service with all its children, and SIGCONT at the end."""
        self.kills += 1
        pid = self._process(name).pid
        family = _family(pid)
        for one in family:
            _signal(one, signal.SIGSTOP)
        try:
            yield
        finally:
            # Those as well whose parent was killed meanwhile.
            for one in {*family, *_family(pid)}:
                _signal(one, signal.SIGCONT)

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.services.database_url, autocommit=True) as connection:
            return connection.execute(sql, parameters or None).fetchall()

    def log_of(self, name: str) -> str:
        return (self.home / f"{name}.log").read_text(errors="replace")

    def stop(self) -> None:
        """Ends every program; answers when none of their children is left either."""
        family = [psutil.Process(one.pid) for one in self._programs.values() if not one.has_ended]
        family += [child for one in family for child in one.children(recursive=True)]
        for name in reversed(PROGRAMS):
            if name in self._programs:
                self._programs[name].stop()
        _gone, left = psutil.wait_procs(family, timeout=60)
        for one in left:
            with suppress(psutil.Error):
                one.kill()
        self.api.close()
        assert not left, f"left behind: {left}"

    def _process(self, name: str) -> Process:
        return self.services.process(name) if name in SERVICES else self._programs[name]


@contextmanager
def site(*, between: Callable[[Throwaway], None] | None = None, **settings: str) -> Iterator[Site]:
    """A running site with durable services; all of it ends with the block. `between` is called
    once the services run and before there is a table."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="deployx-site-")))
        home.chmod(0o711)
        services = Throwaway(is_durable=True, begin=None if between else prepared.begin)
        stack.callback(services.stop)
        services.start()
        if between is not None:
            between(services)
        made = _made(home, services, settings)
        stack.callback(made.stop)
        try:
            made.manage("bootstrap")
            for name in PROGRAMS:
                made.start(name)
            until(made.system.is_ready, 180, what="worker and beat heard of")
            made.sign_in()
            yield made
        except BaseException:
            for name in PROGRAMS:
                with suppress(OSError):
                    sys.stderr.write(f"--- {name}\n{made.log_of(name)[-4_000:]}\n")
            raise


def _made(home: Path, services: Throwaway, settings: dict[str, str]) -> Site:
    port = free_port()
    environment = {
        "DATABASE_URL": services.database_url,
        "REDIS_URL": services.redis_url,
        "DEPLOYX_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "DEPLOYX_SECRET_KEY": "of-this-site-alone-" + "0123456789" * 4,
        "DEPLOYX_SIGNING_KEY_FILE": str(home / "signing.key"),
        "DEPLOYX_HOME": str(home),
        "DJANGO_SETTINGS_MODULE": "deployx.settings",
        **settings,
    }
    Running(services.database_url, services.redis_url, environment["DEPLOYX_PUBLIC_URL"]).write(
        home
    )
    return Site(
        home=home,
        port=port,
        environment=clean_environment(home, environment),
        services=services,
        system=System(port, home, environment),
    )


def _family(pid: int) -> list[psutil.Process]:
    """The process and all below it; nothing where it was killed meanwhile."""
    try:
        leader = psutil.Process(pid)
        return [leader, *leader.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.Error):
        process.send_signal(number)


def pause(seconds: float) -> None:
    """How long a fault lasts, or how far apart two of them are: part of the case, not a wait for
    anything."""
    time.sleep(seconds)
