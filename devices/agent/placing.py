"""Files put in place on the device: never through a symbolic link, and never half.

A folder is reached component by component with O_NOFOLLOW, and everything in it is done through its
descriptor: whoever swaps a component for a link in between changes nothing about where the bytes go.
POSIX only.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import hashlib
import os
import pwd
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_PIECE_BYTES = 1024 * 1024
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
DRAFT = ".deployx-{run}-{number}.new"
FORMER = ".deployx-{run}-{number}.old"


class NotPlaced(Exception):
    """Nothing was put there; the text says why, for a person."""


class NoFolder(NotPlaced):
    """The folder, or one above it, is not there."""


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file that is there already, under `names` names; `mark` changes with it."""

    sha256: str
    size: int
    mode: int
    uid: int
    gid: int
    names: int
    mark: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Look:
    """How a file is to be; None: as the old one was, else 0644 and the agent's own."""

    mode: int | None
    uid: int | None
    gid: int | None

    def of(self, found: Found | None) -> tuple[int, int, int]:
        mode = self.mode if self.mode is not None else (found.mode if found else 0o644)
        uid = self.uid if self.uid is not None else (found.uid if found else os.geteuid())
        gid = self.gid if self.gid is not None else (found.gid if found else os.getegid())
        return mode, uid, gid


def owner_ids(text: str | None) -> tuple[int | None, int | None]:
    """`user`, `user:group` or `:group` by name or number. Raises NotPlaced."""
    user, _, group = (text or "").partition(":")
    return (
        _number(user, "user", lambda: pwd.getpwnam(user).pw_uid),
        _number(group, "group", lambda: grp.getgrnam(group).gr_gid),
    )


class Folder:
    """A folder by its descriptor; `path` is for texts alone."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self._fd = descriptor

    @classmethod
    @contextlib.contextmanager
    def opened(cls, path: str, *, create: bool) -> Iterator[Folder]:
        """Folders that were made for it go again, where they are empty, if what is done inside
        raises. Raises NotPlaced."""
        made: list[tuple[int, str]] = []
        try:
            descriptor = _walk(path, made if create else None)
            try:
                yield cls(path, descriptor)
            finally:
                os.close(descriptor)
        except BaseException:
            _unmake(made)
            raise
        finally:
            for above, _name in made:
                os.close(above)

    def find(self, name: str, check: Callable[[], None]) -> Found | None:
        """What is there under this name. Raises NotPlaced for what is no regular file."""
        with self.reading(name) as source:
            if source is None:
                return None
            status = os.fstat(source.fileno())
            sha256 = hashlib.sha256()
            while piece := source.read(_PIECE_BYTES):
                check()
                sha256.update(piece)
        return _found(sha256.hexdigest(), status)

    @contextlib.contextmanager
    def reading(self, name: str) -> Iterator[IO[bytes] | None]:
        """The regular file of this name, None where there is none. Raises NotPlaced."""
        try:
            descriptor = os.open(name, _FILE, dir_fd=self._fd)
        except FileNotFoundError:
            yield None
            return
        except OSError as problem:
            raise NotPlaced(self._why(name, problem)) from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise NotPlaced(f"{self.path}/{name} is not a regular file")
        with os.fdopen(descriptor, "rb", buffering=0) as source:
            yield source

    def stage(
        self,
        draft: str,
        source: IO[bytes],
        look: tuple[int, int, int],
        check: Callable[[], None],
    ) -> str:
        """Writes a draft beside its place, on the disk when this returns; answers its SHA-256.
        Raises NotPlaced."""
        mode, uid, gid = look
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        sha256 = hashlib.sha256()
        try:
            with os.fdopen(os.open(draft, flags, 0o600, dir_fd=self._fd), "wb") as target:
                while piece := source.read(_PIECE_BYTES):
                    check()
                    sha256.update(piece)
                    target.write(piece)
                if (uid, gid) != (os.geteuid(), os.getegid()):
                    self._give("", target, uid, gid)
                os.fchmod(target.fileno(), mode)
                target.flush()
                os.fsync(target.fileno())
        except OSError as problem:
            self.drop(draft)
            raise NotPlaced(self._why("", problem)) from None
        except NotPlaced:
            self.drop(draft)
            raise
        return sha256.hexdigest()

    def remember(self, name: str, found: Found, former: str, check: Callable[[], None]) -> None:
        """Gives the file that is there a second name, under which it can be put back. Raises
        NotPlaced."""
        self.drop(former)
        try:
            os.link(name, former, src_dir_fd=self._fd, dst_dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return  # it has just gone: there is nothing to put back
        except OSError:
            # A file system without second names, or a file that this account may not give one.
            with self.reading(name) as source:
                if source is not None:
                    self.stage(former, source, (found.mode, found.uid, found.gid), check)

    def move(self, name: str, target: str) -> None:
        os.rename(name, target, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        # Of two names of one file, rename leaves both.
        self.drop(name)

    def drop(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._fd)

    def has(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def adjust(self, name: str, found: Found, look: tuple[int, int, int]) -> Found:
        """Mode and owner of the very file that was found, whose content is right already; answers
        what it is then. Raises NotPlaced, also where they would change under another name as well."""
        mode, uid, gid = look
        with self.reading(name) as source:
            if source is None:
                raise NotPlaced(f"{self.path}/{name} has just gone")
            status = os.fstat(source.fileno())
            if _mark(status) != found.mark:
                raise NotPlaced(f"{self.path}/{name} has just been changed by somebody else")
            if status.st_nlink != 1:
                raise NotPlaced(f"{self.path}/{name} is under another name as well (a hard link)")
            self._give(name, source, uid, gid)
            try:
                os.fchmod(source.fileno(), mode)
            except OSError as problem:
                raise NotPlaced(self._why(name, problem)) from None
            return _found(found.sha256, os.fstat(source.fileno()))

    def sync(self) -> None:
        try:
            os.fsync(self._fd)
        except OSError as problem:
            if problem.errno != errno.EINVAL:  # this file system keeps folders in its own way
                raise

    def _give(self, name: str, file: IO[bytes], uid: int, gid: int) -> None:
        """Raises NotPlaced."""
        try:
            os.fchown(file.fileno(), uid, gid)
        except PermissionError:
            raise NotPlaced(
                f"{self._where(name)}: only an agent that runs as root may give a file to {uid}:{gid}"
                " (user and group)"
            ) from None
        except OSError as problem:
            raise NotPlaced(self._why(name, problem)) from None

    def _where(self, name: str) -> str:
        return f"{self.path}/{name}" if name else self.path

    def _why(self, name: str, problem: OSError) -> str:
        where = self._where(name)
        if problem.errno == errno.ELOOP:
            return f"{where} is a symbolic link"
        return f"{where}: {os.strerror(problem.errno or 0)}"


def _found(sha256: str, status: os.stat_result) -> Found:
    return Found(
        sha256,
        status.st_size,
        stat.S_IMODE(status.st_mode),
        status.st_uid,
        status.st_gid,
        status.st_nlink,
        _mark(status),
    )


def _mark(status: os.stat_result) -> tuple[int, int, int]:
    """Which file it is, and when it was last written, given away or linked to."""
    return status.st_dev, status.st_ino, status.st_ctime_ns


def _walk(path: str, made: list[tuple[int, str]] | None) -> int:
    """A descriptor of the folder. Missing ones are made where there is a list to note them in, each
    as a descriptor of the folder above it and a name. Raises NotPlaced."""
    current = os.open("/", _FOLDER)
    reached = ""
    for part in Path(path).parts[1:]:
        reached += f"/{part}"
        try:
            following = _step(current, part, made)
        except OSError as problem:
            raise _step_problem(reached, problem) from None
        finally:
            os.close(current)
        current = following
    return current


def _step(folder: int, part: str, made: list[tuple[int, str]] | None) -> int:
    try:
        return os.open(part, _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        if made is None:
            raise
    with contextlib.suppress(FileExistsError):
        # The umask, and no chmod afterwards: by then it could be another folder of that name.
        with _umask(0o022):
            os.mkdir(part, 0o777, dir_fd=folder)
        made.append((os.dup(folder), part))
        os.fsync(folder)
    return os.open(part, _FOLDER, dir_fd=folder)


@contextlib.contextmanager
def _umask(mask: int) -> Iterator[None]:
    """The whole process's: whatever else it makes meanwhile is in folders that are its own."""
    former = os.umask(mask)
    try:
        yield
    finally:
        os.umask(former)


def _unmake(made: list[tuple[int, str]]) -> None:
    for above, name in reversed(made):
        with contextlib.suppress(OSError):  # somebody has put something there since
            os.rmdir(name, dir_fd=above)


def _step_problem(path: str, problem: OSError) -> NotPlaced:
    if problem.errno == errno.ENOENT:
        return NoFolder(f"there is no folder {path}")
    if problem.errno in (errno.ELOOP, errno.ENOTDIR):
        return NotPlaced(f"{path} is a symbolic link or no folder; give the real path")
    return NotPlaced(f"{path}: {os.strerror(problem.errno or 0)}")


def _number(text: str, what: str, look_up: Callable[[], int]) -> int | None:
    if not text:
        return None
    if text.isdecimal():
        return int(text)
    try:
        return look_up()
    except KeyError:
        raise NotPlaced(f"there is no {what} {text} on this device") from None
