"""A Salt master with minions of its own, all on loopback, for as long as they are measured."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from deployx.supervisor import Program
from tests.running import free_port, until

STARTING_SECONDS = 300.0


@contextmanager
def minions(programs: Path, folder: Path, hosts: int) -> Iterator[list[str]]:
    """How a command line of `salt` begins whose master has so many minions, all of them answering.
    `programs` holds Salt's programs; all files are in `folder`, and all processes end with the block."""
    ports = {"publish_port": free_port(), "ret_port": free_port()}
    master = _configuration(
        folder / "master", "master", {"interface": "127.0.0.1", "auto_accept": True, **ports}
    )
    salt = [str(programs / "salt"), "-c", str(master)]
    with ExitStack() as stack:
        _start(stack, programs / "salt-master", master)
        for number in range(hosts):
            place = _configuration(
                folder / f"minion-{number}",
                "minion",
                {"master": "127.0.0.1", "master_port": ports["ret_port"], "id": f"host{number}"},
            )
            _start(stack, programs / "salt-minion", place)
        until(lambda: _answering(salt) == hosts, STARTING_SECONDS, what="every minion answers")
        yield salt


def _configuration(place: Path, name: str, settings: Mapping[str, object]) -> Path:
    """JSON is YAML too. Its files are not the machine's own: `root_dir`."""
    place.mkdir()
    text = json.dumps({"root_dir": str(place), "log_level": "quiet", **settings})
    (place / name).write_text(text)
    return place


def _start(stack: ExitStack, program: Path, configuration: Path) -> None:
    """It, and whatever it starts itself, ends with the stack."""
    argv = (str(program), "-c", str(configuration))
    process = Program(configuration.name, argv).start(subprocess.DEVNULL)
    stack.callback(process.kill)


def _answering(salt: list[str]) -> int:
    """How many minions; none while the master does not listen yet."""
    argv = [*salt, "*", "test.ping", "--out", "json", "--static"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    try:
        return sum(answer is True for answer in json.loads(done.stdout).values())
    except ValueError:
        return 0
