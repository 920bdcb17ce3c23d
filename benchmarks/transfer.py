"""One file to many agents at once, beside plain nginx and curl.

The system of `make up` gives out the addresses, for a run that is under way on each of the devices; each
is fetched by a process that is the agent's own downloader, digest, sync and all. Through nginx
(`X-Accel-Redirect`), and from the web process by itself, as `make up` has it. The floor is as many curls
that write down the same file from an nginx that knows nothing else.
"""

from __future__ import annotations

import contextlib
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks.simulated import Habits, Identity, enlist, fleet
from benchmarks.spent import peak
from tests import proxied
from tests.faults.fleet import fleet as real_fleet
from tests.running import CHECKOUT, RunningSystem, Served, free_port, running_system, until

MIB = 1024 * 1024
SIZE, AGENTS, ROUNDS = 200 * MIB, 20, 3
_MEMORY = Path("/dev/shm")
_ROWS = {
    "floor": "plain nginx, curl",
    "checked": "plain nginx, curl and then sha256sum",
    "nginx": "nginx in front of the web process, agents",
    "web": "the web process alone, agents",
}
_CURL = 'curl --silent --fail --output "$1" "$0"'
_CLIENTS = {"floor": f"exec {_CURL}", "checked": f'{_CURL} && exec sha256sum "$1"'}
_TEXT = """
## A file to many agents

{size} MiB to {agents} agents at once on one machine, the best of {rounds} rounds, each beside the floor;
load average before: {load}. A downloader also takes the digest of what comes, which curl does not and
a device must: the second row does what the agents do with the usual programs.

| | all have it after | MiB a second | times the floor | clients' processor |
|---|---|---|---|---|
{rows}

Through nginx it is **{ratio:.2f}** times the floor's throughput (goal: 0.8), and **{fair:.2f}** times that
of curl and sha256sum. The web process's memory,
before · most, is {through} MiB where nginx sends, and {alone} MiB where it sends all of it itself. To a
real agent {first:.0f} MiB were sent for a first deployment, and {again} bytes for the same one again.
"""
_PLAIN = """daemon off; {user} worker_processes auto; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{ access_log off; sendfile on; tcp_nopush on;
        server {{ listen 127.0.0.1:{port}; root {files}; }} }}
"""


@dataclass(frozen=True, slots=True)
class Pass:
    """Seconds from the first begin to the last end, and seconds of the clients' processors."""

    seconds: float
    processor: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Of the web process, in bytes."""

    before: int
    peak: int

    def sentence(self) -> str:
        return f"{self.before / MIB:.0f} · {self.peak / MIB:.0f}"


@dataclass(frozen=True, slots=True)
class Transfer:
    """Passes by what was measured, `floor`, `checked`, `nginx` and `web`; memory by `nginx` and `web`.
    `first` and `again` are the bytes served for a deployment to a real agent and for its repetition."""

    size: int
    agents: int
    passes: dict[str, list[Pass]]
    memory: dict[str, Memory]
    first: int
    again: int

    def best(self, name: str) -> float:
        return min(one.seconds for one in self.passes[name])

    def ratio(self, name: str) -> float:
        """Its throughput beside the floor's."""
        return self.best("floor") / self.best(name)


@dataclass(frozen=True, slots=True)
class Given:
    """What a downloader needs to know."""

    path: str
    key: bytes


def measure(size: int = SIZE, agents: int = AGENTS, rounds: int = ROUNDS) -> Transfer:
    within = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="deployx-transfer-", dir=within) as name:
        folder = Path(name)
        folder.chmod(0o755)
        source = folder / "file"
        _make(source, size)
        passes: dict[str, list[Pass]] = {name: [] for name in _ROWS}
        memory: dict[str, Memory] = {}
        with _plain_nginx(folder) as plain:
            floor = partial(_floor, plain, folder, agents)
            rounds_of = partial(_rounds, source, agents, rounds, floor)
            with (
                _system(folder, DEPLOYX_ACCEL_LOCATION="/stored/") as system,
                proxied.nginx(folder / "nginx", system.address, folder / "files") as address,
            ):
                first, again = _deployed_twice(system, address, source, folder)
                memory["nginx"] = rounds_of(passes, system, address, "nginx")
            with _system(folder) as system:
                memory["web"] = rounds_of(passes, system, system.address, "web")
    return Transfer(size, agents, passes, memory, first, again)


def render(found: Transfer, load: str) -> str:
    return _TEXT.format(
        size=found.size // MIB,
        agents=found.agents,
        rounds=len(found.passes["nginx"]),
        load=load,
        rows="\n".join(_row(found, name) for name in _ROWS),
        ratio=found.ratio("nginx"),
        fair=found.best("checked") / found.best("nginx"),
        through=found.memory["nginx"].sentence(),
        alone=found.memory["web"].sentence(),
        first=found.first / MIB,
        again=found.again,
    )


def _row(found: Transfer, name: str) -> str:
    seconds = found.best(name)
    rate = found.size * found.agents / seconds / MIB
    processor = min(one.processor for one in found.passes[name])
    figures = f"{seconds:.2f} s | {rate:,.0f} | {found.ratio(name):.2f} | {processor:.2f} s"
    return f"| {_ROWS[name]} | {figures} |"


def _make(path: Path, size: int) -> None:
    with path.open("wb") as target, Path("/dev/urandom").open("rb") as random:
        for _ in range(size // MIB):
            target.write(random.read(MIB))
    path.chmod(0o644)


@contextlib.contextmanager
def _system(folder: Path, **settings: str) -> Iterator[RunningSystem]:
    with running_system(DEPLOYX_FILES_DIR=str(folder / "files"), **settings) as system:
        yield system


@contextlib.contextmanager
def _plain_nginx(files: Path) -> Iterator[str]:
    folder, port = files / "plain", free_port()
    folder.mkdir()
    program = proxied.program()
    assert program, "there is no nginx: apt-get install nginx-light"
    config = folder / "nginx.conf"
    config.write_text(
        _PLAIN.format(user=proxied.user_line(), folder=folder, port=port, files=files)
    )
    process = subprocess.Popen(
        [program, "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(config)]
    )
    try:
        until(lambda: proxied.answers(port, process), what="the plain nginx up")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _deployed_twice(
    system: RunningSystem, address: str, source: Path, folder: Path
) -> tuple[int, int]:
    """Bytes that nginx sent for files when a real agent was given this one, and the second time."""
    behind = Served(
        home=system.home, port=int(address.rsplit(":", 1)[1]), environment=system.environment
    )
    behind.api = system.api
    file = _upload(system, source)["id"]
    log = folder / "nginx" / "access.log"
    sent = []
    (folder / "agents").mkdir()
    with real_fleet(behind, folder / "agents", 1) as agents:
        for _time in range(2):
            before = _bytes_sent(log)
            execution = _deploy(system, file, agents.ids, folder / "placed")
            assert system.ended(execution, 300)["status"] == "success"
            sent.append(_bytes_sent(log) - before)
    (folder / "placed").unlink()
    first, again = sent
    return first, again


def _bytes_sent(log: Path) -> int:
    """Of files for devices."""
    time.sleep(0.2)  # nginx writes its line after the last byte
    sent = re.findall(r'"GET \S*/(?:agent/files|stored)/\S+" 20[06] (\d+)', log.read_text())
    return sum(map(int, sent))


def _rounds(
    source: Path,
    agents: int,
    rounds: int,
    floor: Callable[[str], Pass],
    passes: dict[str, list[Pass]],
    system: RunningSystem,
    address: str,
    name: str,
) -> Memory:
    """Each round measures both floors and then this: what else the machine does hits all."""
    web = system.child("uvicorn", "deployx.asgi:application")
    with _under_way(system, source, agents) as (sha256, given):
        fetched = partial(_fetch, address, given, source, sha256)
        before = web.memory_info().rss
        with peak(web) as most:
            for _round in range(rounds):
                for one in _CLIENTS:
                    passes[one].append(floor(one))
                passes[name].append(fetched())
    return Memory(before, most.bytes)


@contextlib.contextmanager
def _under_way(
    system: RunningSystem, source: Path, number: int
) -> Iterator[tuple[str, list[Given]]]:
    """The digest, and an address and key for each of so many devices, whose runs go on meanwhile."""
    devices = enlist(system.database_url, number)
    habits = Habits(runs_for_seconds=3_000)
    with fleet(system.address, devices, habits, processes=1) as agents:
        agents.connect()
        agents.until_online(number, 120)
        file = _upload(system, source)
        _deploy(system, file["id"], [one.id for one in devices], Path("/srv/file"))
        until(lambda: sum(one.starts for one in agents.runs()) == number, what="all runs begun")
        agents.ask_for(file["sha256"])
        urls = until(
            lambda: len(found := agents.addresses(file["sha256"])) == number and found,
            what="all addresses",
        )
        yield file["sha256"], [_given(one, urls) for one in devices]


def _given(device: Identity, urls: dict[str, str]) -> Given:
    return Given(urls[device.id], device.private_key)


def _upload(system: RunningSystem, source: Path) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(system.manage("file", "upload", str(source), "--json").stdout)
    return made


def _deploy(system: RunningSystem, file: Any, devices: Sequence[str], target: Path) -> str:
    body = {
        "name": "Transfer",
        "task_type": "file_deployment",
        "file_payload": {"file_ids": [file], "target_path": str(target), "backup": False},
        "device_ids": list(devices),
    }
    execution = system.post("/api/schedule/executions", body, status=202)
    return str(execution["id"])


def _floor(address: str, folder: Path, agents: int, name: str) -> Pass:
    curl = f"echo ready; read -r go; {_CLIENTS[name]}"
    return _together(
        [
            ["sh", "-c", curl, f"{address}/file", str(folder / f"target-{number}")]
            for number in range(agents)
        ],
        [folder / f"target-{number}" for number in range(agents)],
    )


def _fetch(address: str, given: Sequence[Given], source: Path, sha256: str) -> Pass:
    targets = [source.with_name(f"target-{number}") for number in range(len(given))]
    size = str(source.stat().st_size)
    program = [sys.executable, "-m", "benchmarks.downloader"]
    return _together(
        [
            [*program, address + one.path, str(target), sha256, size, one.key.hex()]
            for one, target in zip(given, targets, strict=True)
        ],
        targets,
    )


def _together(commands: Sequence[Sequence[str]], targets: Sequence[Path]) -> Pass:
    """All of them begin at one moment, once all have said that they are there."""
    processes = [
        subprocess.Popen(one, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=CHECKOUT)
        for one in commands
    ]
    for one in processes:
        assert one.stdout is not None
        assert one.stdout.readline() == b"ready\n"
    starting = sum(sum(psutil.Process(one.pid).cpu_times()[:2]) for one in processes)
    before, began = _of_children(), time.perf_counter()
    for one in processes:
        assert one.stdin is not None
        one.stdin.write(b"go\n")
        one.stdin.flush()
    ends = [one.wait() for one in processes]
    seconds = time.perf_counter() - began
    assert not any(ends), ends
    for one, target in zip(processes, targets, strict=True):
        one.communicate()
        target.unlink()
    return Pass(seconds, _of_children() - before - starting)


def _of_children() -> float:
    """Seconds of the processor of children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
