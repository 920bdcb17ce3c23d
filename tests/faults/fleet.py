"""Many devices on one machine: real agent processes, each with a state directory of its own,
enrolled through the server's own door."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from deployx.supervisor import Program
from devices.agent.config import StateDir
from devices.agent.enrolling import enroll
from devices.agent.journal import Entry, Journal
from tests.faults.ledger import Ledger
from tests.running import BY_HAND, CHECKOUT, Served, until

QUICK = {
    "DEPLOYX_AGENT_RECONNECT_MAX_SECONDS": "3",
    "DEPLOYX_AGENT_HEARTBEAT_SECONDS": "3",
    "DEPLOYX_AGENT_POLL_SECONDS": "5",
    "DEPLOYX_AGENT_REPEAT_SECONDS": "2",
}
"""A day's patience would outlast any test; the protocol leaves these intervals to the agent."""


PROGRAM = (sys.executable, "-m", "devices.agent")


@dataclass(slots=True)
class Device:
    """`folder` is the state directory; its name is the device's name, and its file's in the ledger.
    `prefix` goes before the agent's command line, `environment` on top of its environment."""

    folder: Path
    id: str = ""
    program: tuple[str, ...] = PROGRAM
    prefix: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=lambda: dict(QUICK))
    agent: subprocess.Popen[bytes] | None = None
    kills: int = 0

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def state(self) -> StateDir:
        return StateDir(self.folder)

    @property
    def log(self) -> Path:
        return self.folder.with_name(f"{self.name}.log")

    @property
    def is_running(self) -> bool:
        return self.agent is not None and self.agent.poll() is None

    def start(self) -> None:
        """The agent, as at a boot of the device. Does nothing where it runs."""
        if self.is_running:
            return
        agent = Program(
            name=self.name,
            argv=(*self.prefix, *self.program, "run", "--state-dir", str(self.folder)),
            environment=self.environment,
            working_directory=CHECKOUT,
            stop_signal=signal.SIGKILL,  # what it gets should this test process die
        )
        with self.log.open("ab") as log:
            self.agent = agent.start(log.fileno()).popen

    def kill(self) -> None:
        """SIGKILL for the agent alone: what it runs goes on."""
        self.kills += self.is_running
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, as `systemctl stop` does it."""
        self._end(signal.SIGTERM)

    def lose_power(self) -> None:
        """Everything of this device dies at once: agent, shims, commands, and what those left."""
        self.kills += 1
        end_at_once(self)

    def family(self) -> list[psutil.Process]:
        """Every living process of this device."""
        return family_of(self)

    def shims(self) -> list[psutil.Process]:
        """The shims of this device's runs; the last word of each is `self.folder/runs/RUN`."""
        runs = f"{self.folder}/runs/"
        found = []
        for one in self.family():
            words = _words(Path("/proc", str(one.pid)))
            if words and words[-1].startswith(runs):
                found.append(one)
        return found

    def entries(self) -> dict[str, Entry]:
        """What the agent's journal holds at this moment, by run."""
        return Journal(self.state.journal, is_only_read=True).entries

    def _end(self, number: signal.Signals) -> None:
        if self.agent is None:
            return
        if self.agent.poll() is None:
            self.agent.send_signal(number)
        self.agent.wait(60)
        self.agent = None


@dataclass(slots=True)
class Fleet:
    """`folder` holds the devices' state directories, and the ledger unless several fleets of a
    system share the one in `ledger_folder`; then each needs a `prefix` of its own."""

    system: Served
    folder: Path
    devices: list[Device] = field(default_factory=list)
    prefix: str = "device"
    ledger_folder: Path | None = None

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.ledger_folder or self.folder / "ledger")

    @property
    def kills(self) -> int:
        return sum(device.kills for device in self.devices)

    @property
    def ids(self) -> list[str]:
        return [device.id for device in self.devices]

    def join(self, number: int, **fields: Any) -> list[Device]:
        """So many more devices, enrolled and not started; `fields` are Device's, its `folder` too,
        where there is only one."""
        done = self.system.manage("enroll-token", "add", "--uses", str(number))
        fresh = []
        for place in range(len(self.devices), len(self.devices) + number):
            device = Device(**{"folder": self.folder / f"{self.prefix}-{place:03}", **fields})
            address, token = self.system.address, done.stdout.strip()
            server = enroll(device.state, address, token, device.name, None)
            device.id = server.device_id
            fresh.append(device)
        self.devices += fresh
        return fresh

    def start(self) -> None:
        """Every agent that does not run; answers when the server sees all of them."""
        for device in self.devices:
            device.start()
        until(lambda: self.online() >= set(self.ids) or None, 240, what="every device online")

    def online(self) -> set[str]:
        """By the server's word; nobody where it has none, as it may for a moment after its database
        was away."""
        pages: list[str] = []
        for page in itertools.count(1):
            query = {"status": "online", "page": str(page), "page_size": "200"}
            try:
                answer = self.system.api.get("/api/devices", params=query)
            except httpx.TransportError:
                return set()
            if answer.status_code >= 500:
                return set()
            assert answer.status_code == 200, answer.text
            listed = answer.json()
            pages += [one["id"] for one in listed["results"]]
            if not listed["next"]:
                break
        return set(pages)

    def close(self) -> None:
        """Ends all of it; nothing of any device is left."""
        end_at_once(*self.devices)

    def task(self, *, devices: list[str] | None = None, **fields: Any) -> dict[str, Any]:
        """A command task by hand on these devices (all); `fields` are a Task's, and those of
        Ledger.command. Runs of it may be side by side on a device."""
        names = ("seed", "stdout_bytes", "stderr_bytes", "seconds", "exit_code", "held_by")
        work: dict[str, Any] = {name: fields.pop(name) for name in names if name in fields}
        body = {
            "name": "A fault run's",
            "task_type": "command",
            "command_payload": {"command": self.ledger.command(**work)},
            **BY_HAND,
            "device_ids": devices or self.ids,
            "overlap_policy": "allow",
            "timeout_seconds": 120,
            **fields,
        }
        made: dict[str, Any] = self.system.post("/api/schedule/tasks", body)
        return made

    def execute(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """One more execution of the task; the web process has to be there."""
        made: dict[str, Any] = self.system.post(
            f"/api/schedule/tasks/{task['id']}/execute", status=202
        )
        return made


@contextmanager
def fleet(system: Served, folder: Path, number: int = 0, **fields: Any) -> Iterator[Fleet]:
    """A fleet of so many devices, all online; all of it ends with the block."""
    made = Fleet(system, folder)
    made.ledger.folder.mkdir()
    try:
        if number:
            made.join(number, **fields)
            made.start()
        yield made
    finally:
        made.close()


def family_of(*devices: Device) -> list[psutil.Process]:
    """Every living process of these devices: what names a state directory, or works for a run in
    one, whoever its parent is by now."""
    folders = {str(device.folder) for device in devices}
    runs = {run.name for device in devices for run in device.state.runs.glob("*")}
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _is_of(process, folders, runs):
            with contextlib.suppress(psutil.Error):
                found.append(psutil.Process(int(process.name)))
    return found


def end_at_once(*devices: Device) -> None:
    """Stops all their processes first, so that none sees another die, then kills them."""
    for one in family_of(*devices):
        with contextlib.suppress(psutil.Error):
            one.suspend()
    while family := family_of(*devices):
        for one in family:
            with contextlib.suppress(psutil.Error):
                one.kill()
        psutil.wait_procs(family, 1)
    for device in devices:
        if device.agent is not None:
            device.agent.wait()


def _is_of(process: Path, folders: set[str], runs: set[str]) -> bool:
    """Read straight from /proc: this is asked of every process of the machine, often."""
    words = _words(process)
    if any(word in folders or str(Path(word).parent.parent) in folders for word in words[-2:]):
        return int(process.name) != os.getpid()
    if not runs or not words:
        return False
    try:
        variables = (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
    prefix = b"DEPLOYX_RUN_ID="
    return any(one[len(prefix) :].decode() in runs for one in variables if one.startswith(prefix))


def _words(process: Path) -> list[str]:
    """Its command line; nothing for one that is dead, a zombie among them."""
    try:
        return (process / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []
