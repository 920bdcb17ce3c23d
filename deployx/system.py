"""The programs a running system consists of, as `manage.py up` and the whole-system tests start them."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deployx.silence import WorkerSilence
from deployx.supervisor import Program
from devices.agent.protocol import MAX_FRAME_BYTES

CHECKOUT = Path(__file__).resolve().parent.parent
WEB_POOL = 12
WORKER_CHILDREN = 2


@dataclass(frozen=True, slots=True)
class System:
    """`environment` carries the addresses every program needs."""

    port: int
    folder: Path
    environment: Mapping[str, str]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def agent_folder(self) -> Path:
        return self.folder / "agent"

    def web(self) -> Program:
        options = {
            "--host": "127.0.0.1",
            "--port": str(self.port),
            "--ws": "websockets-sansio",
            "--ws-max-size": str(MAX_FRAME_BYTES),
            "--ws-per-message-deflate": "false",
            # The agents' heartbeats do this work, with less of it.
            "--ws-ping-interval": "0",
            "--timeout-graceful-shutdown": "5",
            "--log-level": "warning",
        }
        argv = [word for option in options.items() for word in option]
        return self._python(
            "web",
            ["-m", "uvicorn", "deployx.asgi:application", "--no-access-log", *argv],
            {"DEPLOYX_DATABASE_POOL": str(WEB_POOL)},
            is_ready=self.web_answers,
        )

    def worker(self, name: str = "worker") -> Program:
        silence = WorkerSilence(self.environment["DATABASE_URL"], self.environment["REDIS_URL"])
        argv = ["worker", "--concurrency", str(WORKER_CHILDREN), "--hostname", f"{name}@%h"]
        return self._celery(name, [*argv, "--without-gossip", "--without-mingle"], silence)

    def beat(self, name: str = "beat") -> Program:
        return self._celery(name, ["beat", "--pidfile", ""])

    def agent(self) -> Program:
        return self._python(
            "agent", ["-m", "devices.agent", "run", "--state-dir", str(self.agent_folder)]
        )

    def web_answers(self, path: str = "/healthz") -> bool:
        """Whether the web process answers this path with 200 within 2 s."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(self.address + path, timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def is_ready(self) -> bool:
        return self.web_answers("/readyz")

    def _celery(
        self, name: str, argv: list[str], is_silent: Callable[[], bool] | None = None
    ) -> Program:
        # A person who runs all of this as root knows it; the worker takes no pickles.
        as_root = ["-W", "ignore:You're running the worker with superuser privileges"]
        command = [
            *as_root,
            "-m",
            "celery",
            "--quiet",
            "--app",
            "deployx",
            *argv,
            "--loglevel",
            "INFO",
        ]
        return self._python(name, command, is_silent=is_silent)

    def _python(
        self,
        name: str,
        argv: list[str],
        environment: Mapping[str, str] | None = None,
        **more: object,
    ) -> Program:
        return Program(
            name=name,
            argv=(sys.executable, *argv),
            environment={
                "PYTHONUNBUFFERED": "1",
                "PYTHONTZPATH": "",
                **self.environment,
                **(environment or {}),
            },
            working_directory=CHECKOUT,
            **more,  # type: ignore[arg-type]
        )
