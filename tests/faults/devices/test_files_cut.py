"""A file on its way to devices whose connections are cut at any byte, and whose agent is killed while
it writes: it is right at its place on each, was never there in part, and no byte was begun anew."""

from __future__ import annotations

import base64
import hashlib
import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.devices.conftest import Case
from tests.faults.fleet import Device
from tests.faults.proxy import Between, Way
from tests.running import BY_HAND, until

DEVICES, CUTS = 5, 3
MIB = 1024 * 1024
PIECE_BYTES = 8 * MIB
# Slow enough for agents to keep up: what is under way at a cut is lost, and comes again.
DROP_BYTES, DRIP_SECONDS = 64 * 1024, 0.004
MOST_AGAIN = 1.3
"""Of the whole; who began anew after each cut would fetch at least 1 + CUTS * 0.15 of it."""


def some_cuts(way: Way, chance: random.Random, size: int) -> Callable[[], int | None]:
    sizes = [int(size * chance.uniform(0.15, 0.28)) for _ in range(CUTS)]
    return lambda: dict(enumerate(sizes)).get(way.faults["reset"])


@contextmanager
def watched(places: list[Path], size: int) -> Iterator[list[str]]:
    """What was seen at these places, other than nothing or all of it."""
    wrong: list[str] = []
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(0.002):
            wrong.extend(
                place.name for place in places if place.exists() and place.stat().st_size != size
            )

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield wrong
    finally:
        is_over.set()
        watcher.join()


def coming(device: Device) -> int:
    """Bytes of the file that the device has so far."""
    return sum(part.stat().st_size for part in device.state.files.glob("*.part"))


def upload(case: Case, content: bytes) -> str:
    """In pieces, by tus; the file's id."""
    api, head = case.grounds.site.api, {"Tus-Resumable": "1.0.0"}
    name = base64.b64encode(b"large.bin").decode()
    announced = {"Upload-Length": str(len(content)), "Upload-Metadata": f"filename {name}"}
    begun = api.post("/api/files/uploads", headers={**head, **announced})
    assert begun.status_code == 201, begun.text
    for start in range(0, len(content), PIECE_BYTES):
        piece = {"Upload-Offset": str(start), "Content-Type": "application/offset+octet-stream"}
        answer = api.patch(
            begun.headers["Location"],
            content=content[start : start + PIECE_BYTES],
            headers={**head, **piece},
        )
        assert answer.status_code == 204, answer.text
    sha256 = hashlib.sha256(content).hexdigest()
    (stored,) = case.grounds.site.get("/api/files", sha256=sha256)["results"]
    return str(stored["id"])


def deploy(case: Case, device: Device, file_id: str, place: Path) -> str:
    task = case.fleet.system.post(
        "/api/schedule/tasks",
        {
            "name": "A large file",
            "task_type": "file_deployment",
            "file_payload": {"file_ids": [file_id], "target_path": str(place)},
            **BY_HAND,
            "device_ids": [device.id],
        },
    )
    return str(case.fleet.execute(task)["id"])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mib", [20, pytest.param(200, marks=pytest.mark.faults)])
def test_a_file_comes_whole_through_cuts_and_a_kill(
    case: Case, between: Between, chance: random.Random, mib: int
) -> None:
    content, size = os.urandom(mib * MIB), mib * MIB
    file_id = upload(case, content)
    devices = case.fleet.join(DEVICES)
    ways = between.put_before_files(*devices)
    for way in ways:
        way.drop_bytes, way.drips = DROP_BYTES, DRIP_SECONDS
        way.cut_after = some_cuts(way, random.Random(chance.random()), size)
    case.fleet.start()
    places = [case.fleet.folder / f"{device.name}.bin" for device in devices]
    with watched(places, size) as wrong:
        for device, place in zip(devices, places, strict=True):
            deploy(case, device, file_id, place)
        victim = devices[0]
        until(lambda: coming(victim) > MIB or None, what="the file under way")
        victim.kill()
        assert coming(victim) > 0
        victim.start()
        case.settled(f"a file of {mib} MiB, cut and killed", cases=DEVICES * CUTS)
    assert set(case.all_statuses(DEVICES)) == {"succeeded"}
    assert wrong == []
    assert {hashlib.sha256(place.read_bytes()).hexdigest() for place in places} == {
        hashlib.sha256(content).hexdigest()
    }
    assert [way.faults["reset"] for way in ways] == [CUTS] * DEVICES
    assert all(way.carried_down < size * MOST_AGAIN for way in ways), [
        way.carried_down for way in ways
    ]
