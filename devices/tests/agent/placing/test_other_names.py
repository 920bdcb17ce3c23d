"""Mode and owner change of the very file that was compared, and under no other name of it."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from devices.agent.kinds import FileFacts
from devices.tests.agent.device_context import DeviceContext
from devices.tests.agent.placing.orders import deploy

SAME = b"the same in both"


@pytest.fixture
def target(srv: Path) -> Path:
    return file_at(srv / "file")


@pytest.fixture
def theirs(srv: Path) -> Path:
    """Of the same content, which whoever may write to the target's folder may not write to."""
    return file_at(srv.parent / "theirs")


def file_at(path: Path) -> Path:
    path.write_bytes(SAME)
    path.chmod(0o600)
    return path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def swap_for_a_link(target: Path, theirs: Path) -> None:
    target.unlink()
    target.hardlink_to(theirs)


def swap_for_a_copy(target: Path, theirs: Path) -> None:
    target.rename(target.with_name("former"))
    file_at(target)


def link_from_elsewhere(target: Path, theirs: Path) -> None:
    theirs.unlink()
    theirs.hardlink_to(target)


def write_to_it(target: Path, theirs: Path) -> None:
    before = target.stat().st_ctime_ns
    while target.stat().st_ctime_ns == before:
        target.write_bytes(b"other")


@pytest.mark.parametrize(
    "meanwhile", [swap_for_a_link, swap_for_a_copy, link_from_elsewhere, write_to_it]
)
def test_what_is_swapped_after_it_was_compared_stays_as_it_is(
    context: DeviceContext,
    target: Path,
    theirs: Path,
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: Callable[[Path, Path], None],
) -> None:
    file = context.offer(SAME)
    fetch = context.fetch

    def fetched(facts: FileFacts) -> Path:
        meanwhile(target, theirs)
        return fetch(facts)

    monkeypatch.setattr(context, "fetch", fetched)

    done = deploy(context, target, file, mode="0644", template=True)

    assert not done.succeeded
    assert done.summary.startswith(f"{target} ")
    assert (mode(target), mode(theirs)) == (0o600, 0o600)


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_file_with_other_names_is_replaced_and_they_stay_as_they_are(
    context: DeviceContext, target: Path, theirs: Path, overwrite: bool
) -> None:
    swap_for_a_link(target, theirs)

    done = deploy(context, target, context.offer(SAME), mode="0644", overwrite=overwrite)

    assert (done.succeeded, done.changed) == (True, True)
    assert [step["state"] for step in done.steps] == ["mode or owner changed"]
    assert (target.read_bytes(), theirs.read_bytes()) == (SAME, SAME)
    assert (mode(target), mode(theirs)) == (0o644, 0o600)
    assert not target.samefile(theirs)


def test_of_a_file_that_is_as_it_should_be_nothing_is_touched(
    context: DeviceContext, target: Path, theirs: Path
) -> None:
    swap_for_a_link(target, theirs)

    done = deploy(context, target, context.offer(SAME), mode="0600")

    assert (done.succeeded, done.changed) == (True, False)
    assert target.samefile(theirs)
