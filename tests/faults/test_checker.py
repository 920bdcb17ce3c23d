"""The checker itself: a fault run proves nothing unless it finds what is wrong."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.faults.checker import broken, judgement, wrong_output
from tests.faults.ledger import Ledger, Start, Trace
from tests.faults.work import output_of

RUN = "0192-run"


def row(status: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": RUN,
        "status": status,
        "device_name": "device-000",
        "attempt": 1,
        "has_started": True,
        "was_lost": status == "lost",
        "exit_code": 0,
        "is_cancelled": False,
        "is_traceless": False,
        **changes,
    }


def trace(starts: int = 1, codes: tuple[int, ...] = (0,), **changes: Any) -> Trace:
    start = {"device": "device-000", "attempt": 1, "boot_id": "b", "seed": 1}
    sizes = {"stdout_bytes": 100, "stderr_bytes": 0}
    return Trace(RUN, [Start(**{**start, **sizes, **changes})] * starts, list(codes))


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (row("succeeded"), trace()),
        (row("failed", exit_code=3), trace(codes=(3,))),
        (row("lost", exit_code=None), trace(codes=())),
        (row("lost", exit_code=None), None),
        (row("expired", has_started=False), None),
        (row("succeeded", is_traceless=True), None),
        (row("cancelled", has_started=False), None),
        (row("cancelled", is_cancelled=True), trace()),
        (row("failed", exit_code=None), trace(codes=())),
    ],
)
def test_what_may_be_is_not_called_broken(run: dict[str, Any], said: Trace | None) -> None:
    assert list(broken(run, said)) == []


@pytest.mark.parametrize(
    ("run", "said", "text"),
    [
        (row("running"), trace(), "has not ended"),
        (row("succeeded"), trace(starts=2), "started twice"),
        (row("lost"), trace(starts=2), "started twice"),
        (row("succeeded"), None, "succeeded without a start"),
        (row("succeeded"), trace(codes=()), "succeeded without start and end"),
        (row("succeeded"), trace(codes=(3,)), "succeeded without start and end"),
        (row("failed"), trace(), "ran to its end and is failed"),
        (row("expired", has_started=False), trace(codes=()), "is expired and ran"),
        (row("cancelled", has_started=False), trace(), "is cancelled and ran"),
        (row("rejected", has_started=False), trace(), "is rejected and ran"),
        (row("skipped", has_started=False), trace(), "is skipped and ran"),
        (row("failed", has_started=False), trace(codes=(0,)), "started without a GO"),
        (row("failed", exit_code=5), trace(codes=(3,)), "failed with another exit code"),
        (row("succeeded"), trace(device="device-001"), "ran on another device"),
        (row("succeeded"), trace(attempt=2), "ran as another attempt"),
    ],
)
def test_what_must_not_be_is_found(run: dict[str, Any], said: Trace | None, text: str) -> None:
    assert text in list(broken(run, said))


def piece(offset: int, data: bytes = b"", dropped: int = 0) -> dict[str, Any]:
    return {"offset": offset, "stream": "stdout", "data": data, "dropped": dropped}


WRITTEN = output_of(1, RUN, "stdout", 100)


@pytest.mark.parametrize(
    ("status", "pieces"),
    [
        ("succeeded", [piece(0, WRITTEN)]),
        ("succeeded", [piece(0, WRITTEN[:40]), piece(40, WRITTEN[40:])]),
        ("succeeded", [piece(0, WRITTEN[:40]), piece(40, dropped=10), piece(50, WRITTEN[50:])]),
        ("lost", [piece(0, WRITTEN[:40])]),
        ("cancelled", []),
    ],
)
def test_output_that_is_whole_or_marked_passes(status: str, pieces: list[dict[str, Any]]) -> None:
    assert faults_of(status, pieces) == []


@pytest.mark.parametrize(
    ("status", "pieces"),
    [
        ("succeeded", [piece(0, WRITTEN[:99])]),
        ("succeeded", [piece(0, WRITTEN[:40]), piece(50, WRITTEN[50:])]),
        ("succeeded", [piece(0, WRITTEN[:40]), piece(30, WRITTEN[30:])]),
        ("succeeded", [piece(0, WRITTEN[:40]), piece(40, WRITTEN[50:] + WRITTEN[40:50])]),
        ("succeeded", [piece(0, WRITTEN + b"x")]),
        ("lost", [piece(0, WRITTEN[1:40])]),
        ("succeeded", [piece(0, WRITTEN[:40]), piece(40, dropped=9), piece(49, WRITTEN[50:])]),
        ("lost", [piece(0, WRITTEN[:40]), piece(40, dropped=61)]),
    ],
)
def test_output_that_is_neither_is_found(status: str, pieces: list[dict[str, Any]]) -> None:
    assert faults_of(status, pieces)


def faults_of(status: str, pieces: list[dict[str, Any]]) -> list[str]:
    end = sum(len(one["data"]) + one["dropped"] for one in pieces)
    return list(wrong_output({"status": status, "output_next": end}, trace(), pieces))


def test_a_count_of_bytes_that_is_not_theirs_is_found() -> None:
    end = {"status": "lost", "output_next": 41}
    assert list(wrong_output(end, trace(), [piece(0, WRITTEN[:40])]))


@pytest.mark.parametrize(
    ("counts", "status"),
    [
        ({"succeeded": 2}, "success"),
        ({"succeeded": 1, "lost": 1}, "partial"),
        ({"lost": 1, "skipped": 1}, "failed"),
        ({"cancelled": 1, "skipped": 1}, "cancelled"),
        ({"skipped": 1}, "skipped"),
    ],
)
def test_an_execution_is_judged_by_its_runs(counts: dict[str, int], status: str) -> None:
    assert judgement(Counter(counts), 100, is_cancelled=False) == status


def test_a_ledger_leaves_out_a_line_that_was_cut(tmp_path: Path) -> None:
    (tmp_path / "device-000").write_text("start r 1 boot 7 5 10 0\nend r 0\nstart s 1 bo")
    assert Ledger(tmp_path).traces() == {
        "r": Trace("r", [Start("device-000", 1, "boot", 5, 10, 0)], [0])
    }
