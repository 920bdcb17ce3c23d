"""Files come into place whole, all or none, where they were meant to go and nowhere else."""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import stat
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from devices.agent import placing
from devices.agent.kinds import FileFacts, Finished, JsonObject, get

from .device_context import DeviceContext

KIND = get("file_deployment")
Tree = dict[str, object]


@pytest.fixture
def context(tmp_path: Path) -> DeviceContext:
    return DeviceContext(tmp_path / "agent")


@pytest.fixture
def srv(tmp_path: Path) -> Path:
    folder = tmp_path / "srv"
    folder.mkdir()
    return folder


def order_for(target: Path | str, *files: JsonObject, **options: Any) -> JsonObject:
    return KIND.accept({"files": list(files), "target_path": str(target), **options})


def deploy(
    context: DeviceContext, target: Path | str, *files: JsonObject, **options: Any
) -> Finished:
    return KIND.run(order_for(target, *files, **options), context)


def into(folder: Path) -> str:
    return f"{folder}/"


def tree(folder: Path) -> Tree:
    """Every name below a folder, with content, mode or where it leads."""
    found: Tree = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode):
            found[str(path)] = (path.read_bytes(), stat.S_IMODE(status.st_mode))
        else:
            found[str(path)] = path.readlink() if path.is_symlink() else status.st_mode
    return found


# What stands in the way: each is its own outcome, and changes nothing.


def test_a_folder_and_a_pipe_are_no_file_to_be_replaced(context: DeviceContext, srv: Path) -> None:
    (srv / "folder").mkdir()
    os.mkfifo(srv / "pipe")
    before = tree(srv)
    for name in ("folder", "pipe"):
        done = deploy(context, srv / name, context.offer(b"new"))
        assert not done.succeeded
        assert done.summary == f"{srv}/{name} is not a regular file"
    assert tree(srv) == before


def test_nothing_goes_through_a_symbolic_link(context: DeviceContext, srv: Path) -> None:
    outside = srv.parent / "outside"
    outside.mkdir()
    (outside / "file").write_text("theirs")
    (srv / "leaf").symlink_to(outside / "file")
    (srv / "branch").symlink_to(outside)
    before = tree(srv.parent / "outside"), tree(srv)
    leaf = deploy(context, srv / "leaf", context.offer(b"new"))
    branch = deploy(context, srv / "branch/file", context.offer(b"new"))
    assert leaf.summary == f"{srv}/leaf is a symbolic link"
    assert branch.summary.startswith(f"{srv}/branch is a symbolic link or no folder")
    assert (tree(outside), tree(srv)) == before


def test_where_nothing_can_be_written_it_says_so(context: DeviceContext, srv: Path) -> None:
    folder = Path("/sys/kernel") if os.geteuid() == 0 else srv
    srv.chmod(0o555)
    done = deploy(context, folder / "deployx-probe", context.offer(b"new"))
    assert not done.succeeded
    assert done.summary.startswith(f"{folder}: ")
    srv.chmod(0o755)
    assert tree(srv) == {}


def test_a_missing_folder_an_unknown_owner_and_a_lost_file_leave_nothing(
    context: DeviceContext, srv: Path
) -> None:
    file = context.offer(b"new")
    gone = {"name": "gone", "sha256": "0" * 64, "size": 3}
    made = {"create_path_if_not_exists": True}
    assert "there is no folder" in deploy(context, srv / "a/b", file).summary
    assert (
        "no user nobody-of-that-name"
        in deploy(context, srv / "a/b", file, owner="nobody-of-that-name", **made).summary
    )
    assert "has no such file" in deploy(context, srv / "a/b/c", gone, **made).summary
    assert tree(srv) == {}


def test_what_is_there_is_left_where_it_may_not_be_overwritten(
    context: DeviceContext, srv: Path
) -> None:
    (srv / "file").write_text("mine")
    done = deploy(context, srv / "file", context.offer(b"new"), overwrite=False)
    assert done.summary == f"{srv}/file is there already, with another content"
    assert (srv / "file").read_text() == "mine"
    assert deploy(context, srv / "file", context.offer(b"mine"), overwrite=False).succeeded


@contextlib.contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file may grow beyond it, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_without_room_for_all_files_none_appears(
    context: DeviceContext, srv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (srv / "small").write_text("old")
    before = tree(srv)
    files = context.offer(b"new", "small"), context.offer(b"x" * 2_000_000, "large")
    places = [context.fetch(FileFacts(**one)) for one in files]
    monkeypatch.setattr(context, "fetch", lambda facts: places[facts.name == "large"])
    with room_for(1_000_000):
        done = deploy(context, into(srv), *files)
    assert done.summary == f"{srv}: File too large"
    assert tree(srv) == before


# All or none, whenever the power fails.


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


# Kept, put back, and only looked at.


def restore(context: DeviceContext, execution: str, target: str) -> Finished:
    order = KIND.accept({"restore": {"execution": execution, "target_path": target}})
    return KIND.run(order, context)


def test_what_was_replaced_comes_back_and_what_was_new_goes(
    context: DeviceContext, srv: Path
) -> None:
    (srv / "one").write_text("old")
    (srv / "one").chmod(0o751)
    before = tree(srv)
    files = context.offer(b"1", "one"), context.offer(b"2", "two")
    done = deploy(context, into(srv), *files, mode="0600")
    assert sorted(done.kept) == [f"{srv}/one", f"{srv}/two"]
    after = tree(srv)
    back = context.another_run()
    assert restore(back, context.execution, into(srv)).succeeded
    assert tree(srv) == before
    assert restore(context.another_run(), back.execution, into(srv)).succeeded
    assert tree(srv) == after


def test_what_the_first_attempt_kept_is_what_comes_back(context: DeviceContext, srv: Path) -> None:
    (srv / "file").write_text("old")
    deploy(context, srv / "file", context.offer(b"first"))
    second = context.another_run(execution=context.execution)
    deploy(second, srv / "file", second.offer(b"second"))
    restore(context.another_run(), context.execution, str(srv / "file"))
    assert (srv / "file").read_text() == "old"


def test_where_nothing_is_kept_nothing_comes_back(context: DeviceContext, srv: Path) -> None:
    deploy(context, srv / "file", context.offer(b"new"), backup=False)
    done = restore(context.another_run(), context.execution, str(srv / "file"))
    assert done.summary == "nothing of that execution is kept on this device"
    assert (srv / "file").read_text() == "new"


def test_a_trial_changes_nothing_and_shows_what_would(context: DeviceContext, srv: Path) -> None:
    (srv / "conf").write_text("port 80\nhost a\n")
    before = tree(srv)
    file = context.offer(b"port 81\nhost a\n", "conf")
    done = deploy(context, into(srv), file, dry_run=True)
    assert (done.changed, done.summary) == (False, "1 of 1 files would change")
    assert b"-port 80\n+port 81\n host a\n" in context.printed
    made = deploy(context, srv / "a/b/conf", file, dry_run=True, create_path_if_not_exists=True)
    assert made.steps[0]["state"] == "would be new"
    assert tree(srv) == before


def test_what_is_in_place_is_not_fetched(context: DeviceContext, srv: Path) -> None:
    file = context.offer(b"same")
    deploy(context, srv / "file", file)
    again = context.another_run()
    done = deploy(again, srv / "file", file)
    assert (done.summary, done.changed, again.fetched) == ("already in place", False, [])
    moded = deploy(again, srv / "file", file, mode="0600")
    assert (moded.steps[0]["state"], moded.changed) == ("mode or owner changed", True)
    assert again.fetched == []


# Templates.


def test_a_template_knows_its_variables_and_the_devices_facts(
    context: DeviceContext, srv: Path
) -> None:
    text = b"${site} ${facts.os} $${site} $HOME $1 ${site}\n"
    options = {"template": True, "variables": {"site": "${facts.os}"}}
    assert deploy(context, srv / "motd", context.offer(text), **options).succeeded
    assert (srv / "motd").read_text() == "${facts.os} linux ${site} $HOME $1 ${facts.os}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"a\nb ${sit}\n", "file: line 2: there is no variable 'sit'"),
        (b"${site + 1}", "there is no variable 'site + 1'"),
        (b"${}", "there is no variable ''"),
        (b"${site", "line 1: ${ without a }"),
        (b"${facts.nothing}", "there is no variable 'facts.nothing'"),
        (b"\xff\xfe\x00", "file: a template is text in UTF-8"),
        (b"x" * 1_048_577, "a template has at most 1048576 bytes"),
    ],
)
def test_what_cannot_be_rendered_says_where(
    context: DeviceContext, srv: Path, text: bytes, said: str
) -> None:
    options = {"template": True, "variables": {"site": "Berlin"}}
    done = deploy(context, srv / "motd", context.offer(text), **options)
    assert not done.succeeded
    assert said in done.summary
    assert tree(srv) == {}
