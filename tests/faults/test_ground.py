"""What cases share: kept for the next one, but for one that failed on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.ground import kept


def test_what_is_kept_is_made_anew_after_a_case_that_failed() -> None:
    said: list[str] = []

    @contextmanager
    def make() -> Iterator[int]:
        number = len(said)
        said.append(f"made {number}")
        yield number
        said.append(f"ended {number}")
        assert number, "it was left broken"

    with kept(make) as one:
        assert (one.get(), one.get()) == (0, 0)
        one.is_spoilt = True
        assert (one.get(), one.get()) == (2, 2)
    assert said == ["made 0", "ended 0", "made 2", "ended 2"]
