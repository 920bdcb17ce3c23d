from __future__ import annotations

import pytest

from scheduling import progress
from scheduling.models import DeviceRun

# counts of devices, threshold in percent, cancelled before all had ended → the execution's end
TABLE = [
    ({"succeeded": 1}, 100, False, "success"),
    ({"succeeded": 3, "failed": 1}, 100, False, "partial"),
    ({"succeeded": 3, "failed": 1}, 75, False, "success"),
    ({"succeeded": 2, "failed": 1}, 67, False, "partial"),
    ({"succeeded": 2, "failed": 1}, 66, False, "success"),
    ({"failed": 2}, 100, False, "failed"),
    ({"failed": 1}, 0, False, "success"),
    ({"timed_out": 1}, 100, False, "failed"),
    ({"rejected": 1}, 100, False, "failed"),
    ({"expired": 1}, 100, False, "failed"),
    ({"lost": 1}, 100, False, "failed"),
    ({"succeeded": 1, "skipped": 9}, 100, False, "success"),
    ({"succeeded": 1, "cancelled": 9}, 100, False, "success"),
    ({"failed": 1, "skipped": 9, "cancelled": 1}, 100, False, "failed"),
    ({"skipped": 2}, 100, False, "skipped"),
    ({"skipped": 2, "cancelled": 1}, 100, False, "cancelled"),
    ({"cancelled": 2}, 100, False, "cancelled"),
    ({}, 100, False, "skipped"),
    ({"succeeded": 5}, 100, True, "cancelled"),
    ({"failed": 5}, 100, True, "cancelled"),
]


def counts(given: dict[str, int]) -> dict[str, int]:
    return {**dict.fromkeys(DeviceRun.Status.values, 0), **given}


@pytest.mark.parametrize(("given", "threshold", "cancelled", "expected"), TABLE)
def test_an_execution_is_judged_by_its_devices_last_attempts(
    given: dict[str, int], threshold: int, cancelled: bool, expected: str
) -> None:
    assert progress.judgement(counts(given), threshold, cancelled=cancelled) == expected


def test_the_result_counts_devices_for_and_against() -> None:
    given = {"succeeded": 3, "failed": 1, "timed_out": 1, "rejected": 1, "expired": 1, "lost": 1}
    result = progress.result_of(counts({**given, "skipped": 5, "cancelled": 2}))
    assert result["devices_targeted"] == 15
    assert result["devices_succeeded"] == 3
    assert result["devices_failed"] == 5
    assert result["counts"].keys() == set(DeviceRun.Status.values)
