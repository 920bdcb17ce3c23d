"""Runs grouped by what they wrote, and how one differs from the rest."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from django.contrib.auth.models import User

from scheduling import alike
from scheduling.models import DeviceRun, Execution
from scheduling.tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def execution(admin: User) -> Execution:
    return factories.execution(factories.task(admin))


def wrote(execution: Execution, text: str, status: str = "succeeded", **fields: Any) -> DeviceRun:
    """A run that has ended after it wrote this, as its device and the ledger leave it."""
    run = factories.run(execution, status="running")
    if text:
        factories.write_output(run, text.encode())
    digest = hashlib.sha256(text.encode()).hexdigest() if text else ""
    way = {"finished_at": run.started_at, "exit_code": 0, "output_sha256": digest}
    DeviceRun.objects.filter(pk=run.pk).move(status, **{**way, **fields})
    run.refresh_from_db()
    return run


def test_the_same_output_with_the_same_exit_code_is_a_group(execution: Execution) -> None:
    for text in ("Linux 6.1\n", "Linux 6.1\n", "Linux 5.4\n", "Linux 6.1\n"):
        wrote(execution, text)
    wrote(execution, "Linux 6.1\n", "failed", exit_code=3)
    found = alike.groups(execution)
    assert [(one.devices, one.exit_code) for one in found.largest] == [(3, 0), (1, 0), (1, 3)]
    assert (found.kinds, found.compared, found.differing) == (3, 5, 2)


def test_devices_that_wrote_nothing_are_alike(execution: Execution) -> None:
    for _ in range(2):
        wrote(execution, "")
    assert [(one.devices, one.sha256) for one in alike.groups(execution).largest] == [(2, "")]


def test_what_lost_bytes_on_the_way_or_has_not_ended_is_like_nobody(execution: Execution) -> None:
    wrote(execution, "whole\n")
    wrote(execution, "a part of it", output_sha256="")
    factories.run(execution, status="running")
    factories.run(execution, status="skipped")
    assert alike.groups(execution).compared == 1


def test_where_every_device_wrote_something_else_there_is_nothing_to_compare_with(
    execution: Execution,
) -> None:
    runs = [wrote(execution, f"host-{number}\n") for number in range(8)]
    found = alike.groups(execution)
    assert (found.reference, found.differing, found.further) == (None, 0, 3)
    assert not found.differs(runs[0])


@pytest.mark.parametrize(
    ("texts", "is_most"), [("aabb", False), ("aab", True), ("aabbc", False), ("aabc", False)]
)
def test_most_are_more_than_half(execution: Execution, texts: str, is_most: bool) -> None:
    for text in texts:
        wrote(execution, text)
    found = alike.groups(execution)
    assert found.reference == found.largest[0]
    assert found.has_majority is is_most


def test_an_earlier_attempt_is_not_counted(execution: Execution) -> None:
    wrote(execution, "second try\n")
    first = wrote(execution, "first try\n", "failed")
    DeviceRun.objects.filter(pk=first.pk).update(is_last_attempt=False)
    assert alike.groups(execution).compared == 1


def test_a_group_is_found_again_by_the_key_in_an_address(execution: Execution) -> None:
    run = wrote(execution, "one\n", exit_code=-2)
    (group,) = alike.groups(execution).largest
    named = alike.named(group.key)
    assert named is not None
    assert alike.member(execution, named) == run


@pytest.mark.parametrize("key", ["", "different", "x:abc", "1:" + "a" * 65, "9" * 17 + ":a", "²:a"])
def test_what_is_no_key_names_no_group(key: str) -> None:
    assert alike.named(key) is None


def test_a_difference_names_what_each_side_alone_wrote(execution: Execution) -> None:
    most, run = wrote(execution, "a\nb\nc\n"), wrote(execution, "a\nX\x1b[31m\nc\n")
    lines = alike.difference(run, most).lines
    assert [(one.sign, one.text) for one in lines[1:]] == [
        (" ", "a"),
        ("-", "b"),
        ("+", "X"),
        (" ", "c"),
    ]


def test_of_long_outputs_only_the_beginning_is_compared(execution: Execution) -> None:
    long = "".join(f"line {number} {'x' * 600}\n" for number in range(700))
    found = alike.difference(wrote(execution, long), wrote(execution, "short\n"))
    assert found.is_cut
    assert len(found.lines) <= 2 * alike.COMPARED_LINES
    assert max(len(one.text) for one in found.lines) <= alike.LINE_CHARACTERS
