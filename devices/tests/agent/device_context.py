"""A stand-in of what the shim offers to a kind's `run`, for kinds tried in the test's own process."""

from __future__ import annotations

import hashlib
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from devices.agent.kinds import CannotStart, FileFacts, JsonObject, NotFetched
from devices.agent.kinds.contract import StreamName


@dataclass
class DeviceContext:
    """Files are had from `stored`; programs really run; what they print is in `printed`."""

    folder: Path
    stored: dict[str, bytes] = field(default_factory=dict)
    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    execution: str = field(default_factory=lambda: str(uuid.uuid4()))
    system: str = "linux"
    min_free_bytes: int = 0
    printed: bytes = b""
    checks: int = 0
    fetched: list[str] = field(default_factory=list)

    def another_run(self, *, execution: str | None = None) -> DeviceContext:
        """On the same device, of another execution unless one is named."""
        execution = execution or str(uuid.uuid4())
        return DeviceContext(self.folder, self.stored, execution=execution)

    def offer(self, content: bytes, name: str = "file") -> JsonObject:
        """A file of an order, which can be fetched."""
        sha256 = hashlib.sha256(content).hexdigest()
        self.stored[sha256] = content
        return {"name": name, "sha256": sha256, "size": len(content)}

    def execute(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        working_directory: str | None = None,
        run_as: str | None = None,
    ) -> int:
        done = self._run(argv, environment, working_directory)
        self.printed += done.stdout + done.stderr
        return done.returncode

    def ask(
        self, argv: Sequence[str], *, environment: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        done = self._run(argv, environment, None)
        self.printed += done.stderr
        return done.returncode, done.stdout

    def write(self, stream: StreamName, data: bytes) -> None:
        self.printed += data

    def check(self) -> None:
        self.checks += 1

    def fetch(self, file: FileFacts) -> Path:
        if file.sha256 not in self.stored:
            raise NotFetched(f"{file.name}: the server has no such file")
        self.fetched.append(file.sha256)
        place = self.scratch / file.sha256
        place.write_bytes(self.stored[file.sha256])
        return place

    @property
    def scratch(self) -> Path:
        return self._folder("runs", self.run_id)

    @property
    def memory(self) -> Path:
        return self._folder("memory")

    def _folder(self, *names: str) -> Path:
        folder = self.folder.joinpath(*names)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @staticmethod
    def _run(
        argv: Sequence[str], environment: Mapping[str, str] | None, directory: str | None
    ) -> subprocess.CompletedProcess[bytes]:
        variables = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **(environment or {})}
        try:
            return subprocess.run(
                list(argv), env=variables, cwd=directory, capture_output=True, check=False
            )
        except OSError as problem:
            raise CannotStart(str(problem)) from None
