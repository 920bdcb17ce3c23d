"""Where the embedded services of a checkout keep their data, and with whose rights."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deployx.embedded.account import Account, unprivileged
from deployx.embedded.binaries import Binaries

# sockaddr_un has room for 108 bytes on Linux and 104 on macOS; PostgreSQL adds ".s.PGSQL.5432.lock".
LONGEST_SOCKET_FOLDER = 80
_WHERE_ROOT_KEEPS_DATA = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108  (0700, and ours alone)


class Unsafe(RuntimeError):
    """A folder that should be ours alone is somebody else's."""


@dataclass(frozen=True, slots=True)
class Home:
    """`data` and `sockets` are 0700 and belong to the account that runs the services."""

    data: Path
    sockets: Path
    binaries: Binaries
    account: Account | None
    is_moved: bool

    def log(self, name: str) -> Path:
        return self.data.parent / f"{name}.log"

    @classmethod
    def of(cls, folder: Path) -> Home:
        """The home of the services whose folder is `folder` (`.deployx`, or a test's own).

        Raises NoWheel, Unsafe. Started by root, the services run as `nobody`: where that account
        cannot reach the folder or the programs, data and a copy of the programs go elsewhere.
        """
        account, binaries = unprivileged(), Binaries.installed()
        _make(folder, 0o711)
        is_moved = account is not None and not (
            account.can_enter(folder) and account.can_run(binaries.postgres / "postgres")
        )
        if is_moved:
            folder = _elsewhere(folder)
            binaries = binaries.copied_to(folder)
        data = folder / "services"
        _own(data, account)
        sockets = _socket_folder(folder)
        _own(sockets, account)
        return cls(data, sockets, binaries, account, is_moved)


def _elsewhere(folder: Path) -> Path:
    base = next(one for one in _WHERE_ROOT_KEEPS_DATA if os.access(one, os.W_OK))
    place = base / f"deployx-{_digest(folder)}"
    _make(place, 0o711)
    if place.stat().st_uid != os.geteuid():
        raise Unsafe(f"{place} belongs to somebody else; remove it.")
    return place


def _socket_folder(folder: Path) -> Path:
    """`run` beside the data, or a short name in the folder for temporary files: the path of a socket
    must fit into 100 bytes or so."""
    beside = folder / "run"
    if len(os.fsencode(beside)) <= LONGEST_SOCKET_FOLDER:
        return beside
    return Path(tempfile.gettempdir()) / f"deployx-{os.geteuid()}-{_digest(folder)}"


def _own(path: Path, account: Account | None) -> None:
    """A folder that only the account enters."""
    _make(path, 0o700)
    if account is not None:
        account.own(path)
    wanted = account.uid if account else os.geteuid()
    status = path.lstat()
    if status.st_uid != wanted or status.st_mode & 0o077:
        raise Unsafe(f"{path} must belong to user {wanted} with mode 0700; remove it.")


def _make(path: Path, mode: int) -> None:
    for missing in reversed([one for one in (path, *path.parents) if not one.exists()]):
        missing.mkdir(exist_ok=True)
        missing.chmod(mode if missing == path else 0o755)  # whatever the umask took from it


def _digest(folder: Path) -> str:
    return hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]
