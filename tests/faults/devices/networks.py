"""Network namespaces, each joined to ours by a pair of virtual cables that can be cut. As root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_ETC = Path("/etc/netns")


@dataclass(frozen=True, slots=True)
class Network:
    """What runs behind `prefix` finds us, under the name localhost, at `address`: an agent refuses
    to speak in clear to any other host."""

    name: str
    cable: str
    address: str

    @property
    def prefix(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.name)

    def cut(self) -> None:
        """Not one packet gets through, and nobody is told."""
        _ip("link", "set", self.cable, "down")

    def mend(self) -> None:
        _ip("link", "set", self.cable, "up")


@contextmanager
def network(number: int) -> Iterator[Network]:
    """One of up to 200, by its number; nothing of it is left afterwards."""
    made = Network(
        f"deployx-{os.getpid()}-{number}", f"dx{number}-{os.getpid()}", f"10.213.{number}.1"
    )
    hosts = _ETC / made.name / "hosts"
    try:
        _make(made, f"10.213.{number}.2")
        hosts.parent.mkdir(parents=True)
        hosts.write_text(f"{made.address} localhost\n")
        yield made
    finally:
        _ip("netns", "delete", made.name, check=False)
        _ip("link", "delete", made.cable, check=False)
        hosts.unlink(missing_ok=True)
        for folder in (hosts.parent, _ETC):
            if folder.is_dir() and not list(folder.iterdir()):
                folder.rmdir()


def _make(made: Network, there: str) -> None:
    _ip("netns", "add", made.name)
    _ip("link", "add", made.cable, "type", "veth", "peer", "name", "uplink", "netns", made.name)
    _ip("address", "add", f"{made.address}/30", "dev", made.cable)
    _ip("link", "set", made.cable, "up")
    for words in (
        ("address", "add", f"{there}/30", "dev", "uplink"),
        ("link", "set", "uplink", "up"),
        ("link", "set", "lo", "up"),
    ):
        _ip("-n", made.name, *words)


def _ip(*words: str, check: bool = True) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, (words, done.stderr)
