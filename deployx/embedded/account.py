"""Whom the embedded services run as: PostgreSQL refuses to be started by root."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Account:
    uid: int
    gid: int

    def own(self, path: Path) -> None:
        os.chown(path, self.uid, self.gid)

    def as_arguments(self) -> dict[str, object]:
        """What makes `subprocess` start a program as this account, and nothing more."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can_run(self, program: Path) -> bool:
        """Whether it may start this program, tried rather than worked out from modes."""
        return self._does([str(program), "--version"])

    def can_enter(self, folder: Path) -> bool:
        return self._does(["/bin/sh", "-c", 'cd "$0"', str(folder)])

    def _does(self, argv: Sequence[str]) -> bool:
        try:
            done = subprocess.run(
                argv,
                cwd="/",
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=30,
                user=self.uid,
                group=self.gid,
                extra_groups=[],
            )
        except OSError:
            return False
        return done.returncode == 0


def unprivileged() -> Account | None:
    """The account to run as where this process is root's; None where it may run as itself."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_uid, entry.pw_gid)
