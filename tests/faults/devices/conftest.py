from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.faults.checker import Checker, Findings
from tests.faults.fleet import Fleet
from tests.faults.ground import Kept, kept
from tests.faults.ledger import Ledger
from tests.faults.proxy import Between
from tests.faults.site import Site, site
from tests.running import BY_HAND, Served, until

HANDSHAKES = 100
"""A second: a web process that has little of the machine may not get to do the 300 of an installation."""
_numbers = itertools.count()


@dataclass(slots=True)
class Grounds:
    """One site for all tests of this folder, and the ledger of every device that ever was there."""

    site: Site
    ledger: Ledger
    checker: Checker


@dataclass(slots=True)
class Case:
    """A test's own devices. `settled` ends it: nothing is left to come, and the promises held."""

    grounds: Grounds
    fleet: Fleet
    seed: int
    began: float = field(default_factory=time.monotonic)

    def executions(self, number: int, **fields: Any) -> list[str]:
        """A task on all devices, executed so often; the executions' ids."""
        task = self.fleet.task(**fields)
        return [self.fleet.execute(task)["id"] for _ in range(number)]

    def statuses(self, execution: str) -> dict[str, str]:
        """By device, as the database has it now."""
        sql = (
            "SELECT device_id::text, status FROM scheduled_task_device_runs"
            " WHERE execution_id = %s ORDER BY attempt"
        )
        return dict(self.grounds.site.query(sql, execution))

    def all_statuses(self, number: int) -> list[str]:
        """Of all runs of the case's devices, of which there are so many."""
        sql = "SELECT status FROM scheduled_task_device_runs WHERE device_id = ANY(%s::uuid[])"
        found = [status for (status,) in self.grounds.site.query(sql, self.fleet.ids)]
        assert len(found) == number
        return found

    def until_all(self, execution: str, *wanted: str, seconds: float = 60.0) -> None:
        """Every run of the execution is in one of these states."""

        def are_there() -> bool | None:
            statuses = self.statuses(execution).values()
            return (bool(statuses) and set(statuses) <= set(wanted)) or None

        until(are_there, seconds, what=f"all {wanted}: {self.statuses(execution)}")

    def settled(self, case: str, *, cases: int = 1, seconds: float = 180.0) -> Findings:
        self.grounds.checker.wait_until_calm(seconds)
        took = time.monotonic() - self.began
        return self.grounds.checker.check(
            case, seed=self.seed, cases=cases, kills=self.fleet.kills, seconds=took
        )


@contextmanager
def _grounds(factory: pytest.TempPathFactory) -> Iterator[Grounds]:
    settings = {"DEPLOYX_RECONCILE_SECONDS": "2", "DEPLOYX_HANDSHAKES_PER_SECOND": str(HANDSHAKES)}
    with site(**settings) as made:
        ledger = Ledger(factory.mktemp("ledger"))
        yield Grounds(made, ledger, Checker(made, ledger))


@pytest.fixture(scope="session")
def kept_grounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept[Grounds]]:
    with kept(partial(_grounds, tmp_path_factory)) as one:
        yield one


@pytest.fixture
def grounds(kept_grounds: Kept[Grounds]) -> Grounds:
    return kept_grounds.get()


@contextmanager
def case_on(grounds: Grounds, folder: Path, seed: int) -> Iterator[Case]:
    prefix = f"case-{next(_numbers)}"
    fleet = Fleet(grounds.site, folder / prefix, prefix=prefix, ledger_folder=grounds.ledger.folder)
    fleet.folder.mkdir()
    try:
        yield Case(grounds, fleet, seed)
    finally:
        fleet.close()


@pytest.fixture
def case(grounds: Grounds, folder: Path, seed: int) -> Iterator[Case]:
    with case_on(grounds, folder, seed) as made:
        yield made


@pytest.fixture
def others(grounds: Grounds, folder: Path, seed: int) -> Iterator[Case]:
    """A second case on the same grounds."""
    with case_on(grounds, folder, seed) as made:
        yield made


@pytest.fixture
def between(grounds: Grounds) -> Iterator[Between]:
    with Between(grounds.site.port) as made:
        yield made


def execute_on(place: Served, device_ids: list[str]) -> str:
    """A task for devices without an agent of ours, executed; the execution's id."""
    task = place.post(
        "/api/schedule/tasks",
        {
            "name": "A crowd's",
            "task_type": "command",
            "command_payload": {"command": "true"},
            **BY_HAND,
            "device_ids": device_ids,
        },
    )
    made = place.post(f"/api/schedule/tasks/{task['id']}/execute", status=202)
    return str(made["id"])
