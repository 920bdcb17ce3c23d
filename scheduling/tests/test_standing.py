"""One look at an execution serves everybody who asks while it waits, and nobody gets an old one."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from scheduling.standing import Looks
from tests.running import until


class Slow:
    """What is looked up: numbers that rise, the first of them only once it is let go."""

    def __init__(self) -> None:
        self.looks = 0
        self.begun, self.released = threading.Event(), threading.Event()

    def __call__(self) -> int:
        self.looks += 1
        found = self.looks
        self.begun.set()
        assert self.released.wait(60)
        return found


def test_whoever_comes_in_the_middle_of_a_look_waits_for_the_next_and_all_share_that() -> None:
    looks: Looks[int] = Looks()
    slow = Slow()
    with ThreadPoolExecutor(9) as people:
        first = people.submit(looks.look, "execution", slow)
        assert slow.begun.wait(60)
        later = [people.submit(looks.look, "execution", slow) for _ in range(8)]
        until(lambda: looks.tickets == 10, what="nine have asked and one looks")
        slow.released.set()
        assert first.result(60) == 1
        assert {one.result(60) for one in later} == {2}
    assert slow.looks == 2


def test_who_asks_after_a_look_gets_a_new_one() -> None:
    looks: Looks[int] = Looks()
    numbers = iter(range(10))
    assert [looks.look("execution", lambda: next(numbers)) for _ in range(3)] == [0, 1, 2]


def test_one_execution_is_not_taken_for_another() -> None:
    looks: Looks[str] = Looks()
    assert looks.look("one", lambda: "of one") == "of one"
    assert looks.look("other", lambda: "of the other") == "of the other"


def test_a_look_that_fails_is_the_next_ones_to_repeat() -> None:
    looks: Looks[int] = Looks()
    with pytest.raises(ZeroDivisionError):
        looks.look("execution", lambda: 1 // 0)
    assert looks.look("execution", lambda: 5) == 5
