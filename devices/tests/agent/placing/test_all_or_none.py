"""Files come into place whole, all or none, where they were meant to go and nowhere else."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from devices.agent import placing
from devices.tests.agent.device_context import DeviceContext
from devices.tests.agent.placing.orders import (
    KIND,
    deploy,
    into,
    order_for,
    restore,
    restoring,
    tree,
)


class Killed(BaseException):
    """Stands for the moment after which nothing more is done."""


STEPS = (
    "open",
    "write",
    "fsync",
    "link",
    "rename",
    "replace",
    "unlink",
    "fchmod",
    "mkdir",
    "rmdir",
)


def dies_at(number: int, act: Callable[[], object]) -> bool:
    """Does it in a process of its own, which is killed before its step of this number; answers
    whether that came before the end."""
    child = os.fork()
    if child == 0:
        try:
            _count_steps(number)
            act()
        finally:
            os._exit(0)
    _pid, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _count_steps(number: int) -> None:
    steps = itertools.count()

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **options: Any) -> Any:
            if next(steps) == number:
                os.kill(os.getpid(), 9)
            return function(*args, **options)

        return step

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))


def test_killed_at_any_step_all_files_are_old_or_all_are_new(tmp_path: Path) -> None:
    before, after = None, None
    for number in itertools.count():
        folder = tmp_path / str(number)
        srv, context = folder / "srv", DeviceContext(folder / "agent")
        srv.mkdir(parents=True)
        (srv / "one").write_text("old")
        (srv / "two").write_text("old")
        (srv / "two").chmod(0o600)
        files = [context.offer(name.encode(), name) for name in ("one", "two", "three")]
        order = order_for(into(srv), *files)
        was = dies_at(number, partial(KIND.run, order, context))
        KIND.abandoned(context.run_id, context.memory)
        found = {path.name: path.read_text() for path in srv.iterdir()}
        before = before or found
        after = found
        assert found in (
            {"one": "old", "two": "old"},
            {"one": "one", "two": "two", "three": "three"},
        ), f"killed at step {number}"
        assert stat.S_IMODE((srv / "two").stat().st_mode) == 0o600
        if not was:
            break
    assert before == {"one": "old", "two": "old"}
    assert after is not None
    assert "three" in after
    assert number > 30


def test_killed_at_any_step_of_a_restore_all_files_are_new_or_all_are_old(tmp_path: Path) -> None:
    found: list[dict[str, str]] = []
    for number in itertools.count():
        folder = tmp_path / str(number)
        srv, context = folder / "srv", DeviceContext(folder / "agent")
        srv.mkdir(parents=True)
        (srv / "one").write_text("old")
        deploy(context, into(srv), context.offer(b"1", "one"), context.offer(b"2", "two"))
        back = context.another_run()
        was = dies_at(number, partial(KIND.run, restoring(context.execution, into(srv)), back))
        KIND.abandoned(back.run_id, back.memory)
        found.append({path.name: path.read_text() for path in srv.iterdir()})
        assert found[-1] in ({"one": "1", "two": "2"}, {"one": "old"}), f"killed at step {number}"
        if not was:
            break
    assert (len(found[0]), found[-1]) == (2, {"one": "old"})
    assert number > 30


def test_what_was_new_and_cannot_be_removed_keeps_the_rest_from_being_put_back(
    context: DeviceContext, srv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (srv / "one").write_text("old")
    deploy(context, into(srv), context.offer(b"1", "one"), context.offer(b"2", "two"))
    after = tree(srv)
    real = os.unlink

    def unlink(name: str, **options: Any) -> None:
        if name == "two":
            raise PermissionError(1, "Operation not permitted")
        real(name, **options)

    monkeypatch.setattr(os, "unlink", unlink)
    done = restore(context.another_run(), context.execution, into(srv))
    assert (done.succeeded, done.changed) == (False, False)
    assert done.summary == f"{srv}/two: Operation not permitted"
    assert tree(srv) == after


def test_what_stopped_half_way_is_taken_back_by_itself(
    context: DeviceContext, srv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (srv / "one").write_text("old")
    before = tree(srv)
    moves = iter([True, False])
    real = os.rename

    def rename(*args: Any, **options: Any) -> None:
        if not next(moves, True):
            raise OSError(5, "Input/output error")
        real(*args, **options)

    monkeypatch.setattr(os, "rename", rename)
    done = deploy(context, into(srv), context.offer(b"1", "one"), context.offer(b"2", "two"))
    assert done.summary == f"{srv}/two: Input/output error"
    assert done.changed is False
    assert tree(srv) == before


def test_another_mode_of_one_file_is_taken_back_with_the_rest(
    context: DeviceContext, srv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (srv / "same").write_text("same")
    (srv / "same").chmod(0o600)
    before = tree(srv)

    def link(*args: Any, **options: Any) -> None:
        raise AssertionError("nothing is replaced")

    def stage(*args: Any, **options: Any) -> None:
        raise placing.NotPlaced("no room")

    monkeypatch.setattr(placing.Folder, "stage", stage)
    files = context.offer(b"same", "same"), context.offer(b"new", "new")
    assert deploy(context, into(srv), *files, mode="0640").summary == "no room"
    assert tree(srv) == before


def test_a_file_system_without_second_names_is_served_too(
    context: DeviceContext, srv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*args: Any, **options: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    (srv / "file").write_text("old")
    assert deploy(context, srv / "file", context.offer(b"new")).succeeded
    assert {path.name: path.read_text() for path in srv.iterdir()} == {"file": "new"}


# Somebody swaps a link in, a thousand times, while files are placed.


class Swapper(threading.Thread):
    """Puts a link to `outside` in place of a folder or file of the target, and takes it away again."""

    def __init__(self, place: Path, outside: Path) -> None:
        super().__init__(daemon=True)
        self._place, self._outside = place, outside
        self._aside = place.with_name("aside")
        self.swaps = 0
        self.is_over = False

    def run(self) -> None:
        link = self._place.with_name("link")
        while not self.is_over:
            link.symlink_to(self._outside)
            with contextlib.suppress(OSError):
                self._place.rename(self._aside)
            with contextlib.suppress(OSError):
                link.rename(self._place)
            self.swaps += 1
            with contextlib.suppress(OSError):
                self._place.unlink()
            with contextlib.suppress(OSError):
                self._aside.rename(self._place)
            with contextlib.suppress(FileNotFoundError):
                link.unlink()


@pytest.mark.parametrize("part", ["folder", "file"])
def test_a_link_swapped_in_a_thousand_times_leads_nowhere(
    context: DeviceContext, srv: Path, tmp_path: Path, part: str
) -> None:
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "file").write_text("theirs")
    (outside / "deep/file").write_text("theirs")
    before = tree(outside)
    (srv / "folder/deep").mkdir(parents=True)
    target = srv / "folder/deep/file"
    target.write_text("old")
    is_folder = part == "folder"
    swapper = Swapper(
        srv / "folder" if is_folder else target, outside if is_folder else outside / "file"
    )
    swapper.start()
    ended = 0
    while swapper.swaps < 1_000 or ended < 50:
        content = context.offer(f"new {ended}".encode())
        with contextlib.suppress(OSError):  # what it places vanishes under its hands
            deploy(context.another_run(), target, content, backup=False)
        ended += 1
    swapper.is_over = True
    swapper.join()
    assert tree(outside) == before
