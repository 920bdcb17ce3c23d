"""Small file systems that fill up, and one that forgets what nobody synced when its power goes.

Mounted where only this process and its children see them: whatever happens to the test, the kernel
takes them away with it.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.running import until

_CLONE_NEWNS = 0x00020000
# linux/fs/ext4/ext4.h, as xfstests uses it: nothing that is not on the disk gets there any more.
_EXT4_IOC_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = (2).to_bytes(4, "little")


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A tmpfs. `fill` takes all its room but `leave_bytes`, `empty` gives it back."""

    folder: Path

    @property
    def _ballast(self) -> Path:
        return self.folder / ".ballast"

    @property
    def free_bytes(self) -> int:
        status = os.statvfs(self.folder)
        return status.f_bavail * status.f_frsize

    def fill(self, leave_bytes: int = 0) -> None:
        with self._ballast.open("ab", buffering=0) as file, suppress(OSError):
            while (room := self.free_bytes - leave_bytes) > 0:
                file.write(bytes(min(room, 1024 * 1024)))

    def empty(self) -> None:
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Mounted on `folder`, which is made."""
    _enter_own_mounts()
    folder.mkdir(exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0711", "deployx", str(folder))
    try:
        yield SmallDisk(folder)
    finally:
        _run("umount", "--lazy", str(folder))


@dataclass(frozen=True, slots=True)
class ForgetfulDisk:
    """An ext4 in a file. After `lose_power` it is as a machine's disk is after a power cut: what
    was synced is there, what was only written is not, nor is any name not synced."""

    folder: Path
    image: Path

    def mount(self) -> None:
        # A long commit interval: the file system syncs nothing of itself while a case lasts.
        _run("mount", "-o", "loop,commit=300,noatime", str(self.image), str(self.folder))

    def lose_power(self) -> None:
        """At this instant. The processes that use it find errors only, and should be ended."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _EXT4_IOC_SHUTDOWN, _NO_LOG_FLUSH)
        finally:
            os.close(descriptor)

    def mount_again(self) -> None:
        """After the processes have ended, of which one that still goes may hold a file for a moment:
        the journal of the file system is replayed."""

        def is_free() -> bool:
            argv = ("umount", str(self.folder))
            return subprocess.run(argv, capture_output=True, check=False).returncode == 0

        until(is_free, what=f"{self.folder} unmounted")
        self.mount()


@contextmanager
def forgetful_disk(folder: Path, megabytes: int = 64) -> Iterator[ForgetfulDisk]:
    """Mounted on `folder`, which is made."""
    _enter_own_mounts()
    folder.mkdir()
    disk = ForgetfulDisk(folder, folder.with_name(f"{folder.name}.ext4"))
    with disk.image.open("wb") as file:
        file.truncate(megabytes * 1024 * 1024)
    _run("mkfs.ext4", "-q", "-m", "0", str(disk.image))
    disk.mount()
    try:
        yield disk
    finally:
        _run("umount", "--lazy", str(folder))


@cache
def _enter_own_mounts() -> None:
    """From here on this thread's mounts are nobody else's; programs it starts share them."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    _run("mount", "--make-rprivate", "/")


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
