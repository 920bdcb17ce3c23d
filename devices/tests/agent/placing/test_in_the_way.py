"""What stands in the way of a file: each is its own outcome, and changes nothing."""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import resource
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from devices.agent import durable
from devices.agent.kinds import FileFacts
from devices.agent.protocol import RejectCode
from devices.tests.agent.conftest import AgentProcess
from devices.tests.agent.device_context import DeviceContext
from devices.tests.agent.fake_runs import new_id
from devices.tests.agent.fake_server import FakeServer
from devices.tests.agent.placing.orders import KIND, deploy, into, order_for, restoring, tree


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


@contextlib.contextmanager
def as_no_administrator() -> Iterator[Path]:
    """A folder of somebody's who is not root, which is what this process is as well meanwhile. If it
    was root, the folder holds a file `theirs` of root's."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            (Path(folder) / "theirs").write_text("theirs")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            groups = os.getgroups()
            stack.callback(os.setgroups, groups)
            stack.callback(os.setegid, 0)
            stack.callback(os.seteuid, 0)
            os.setgroups([])
            os.setegid(nobody.pw_gid)
            os.seteuid(nobody.pw_uid)
        yield Path(folder)


def test_an_agent_that_is_not_root_places_files_of_its_own_and_gives_none_away() -> None:
    with as_no_administrator() as folder:
        context = DeviceContext(folder / "agent")
        file = context.offer(b"new")
        given = deploy(context, folder / "given", file, owner="0:0")
        assert given.summary == (
            f"{folder}: only an agent that runs as root may give a file to 0:0 (user and group)"
        )
        assert not (folder / "given").exists()
        assert deploy(context, folder / "mine", file, mode="0640").succeeded
        assert deploy(context, folder / "mine", context.offer(b"newer")).succeeded
        is_given = deploy(context, folder / "mine", context.offer(b"newer"), owner="0:0")
        assert "only an agent that runs as root" in is_given.summary
        found = (folder / "mine").stat()
        assert (found.st_uid, found.st_gid) == (os.geteuid(), os.getegid())
        assert ((folder / "mine").read_bytes(), stat.S_IMODE(found.st_mode)) == (b"newer", 0o640)
        if (theirs := folder / "theirs").exists():
            # It would change hands: whoever it belongs to could not write to it any more.
            assert "only an agent that runs as root" in deploy(context, theirs, file).summary
            assert theirs.read_text() == "theirs"


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


class Disk(NamedTuple):
    free: int


@pytest.mark.parametrize(("free", "succeeds"), [(1_099, False), (1_100, True)])
def test_what_is_replaced_is_kept_only_where_the_disk_keeps_its_room(
    context: DeviceContext,
    srv: Path,
    monkeypatch: pytest.MonkeyPatch,
    free: int,
    succeeds: bool,
) -> None:
    (srv / "file").write_bytes(b"x" * 100)
    before = tree(srv)
    context.min_free_bytes = 1_000
    monkeypatch.setattr("shutil.disk_usage", lambda _: Disk(free))

    done = deploy(context, into(srv), context.offer(b"new"), context.offer(b"other", "another"))

    assert done.succeeded is succeeds
    if not succeeds:
        assert done.summary == (
            "the device's disk has no room to keep what is replaced (100 bytes): 1099 bytes are free"
        )
        assert tree(srv) == before
        assert list((context.memory / "backups").iterdir()) == []
        assert deploy(context, srv / "file", context.offer(b"new"), backup=False).succeeded


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("backups", "what is replaced cannot be kept: No space left on device"),
        ("placing", "what is to be placed cannot be noted: No space left on device"),
    ],
)
def test_a_full_disk_of_the_agents_own_changes_nothing(
    context: DeviceContext, srv: Path, monkeypatch: pytest.MonkeyPatch, where: str, said: str
) -> None:
    (srv / "file").write_text("old")
    before = tree(srv)

    def sync(folder: Path) -> None:
        if where in folder.parts:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(durable, "sync_folder", sync)
    done = deploy(context, srv / "file", context.offer(b"new"))
    assert (done.summary, done.changed) == (said, False)
    assert tree(srv) == before
    assert not any(one.is_file() for one in context.memory.rglob("*"))


def test_a_device_with_windows_says_that_it_takes_no_files(
    context: DeviceContext, srv: Path
) -> None:
    context.system = "windows"
    done = deploy(context, srv / "file", context.offer(b"new"))
    assert (done.succeeded, done.summary) == (False, "files cannot be deployed to Windows yet")
    assert tree(srv) == {}
    helps = {field.name: field.help for field in KIND.form_fields()}
    assert "Devices with Windows take no files yet." in helps["target_path"]


async def test_outside_the_folders_a_device_allows_files_are_neither_put_nor_put_back(
    server: FakeServer, agent: AgentProcess, srv: Path
) -> None:
    (agent.state.path / "policy.toml").write_text(f'directories = ["{srv}"]\n')
    elsewhere = srv.parent / "elsewhere"
    elsewhere.mkdir()
    put = order_for(elsewhere / "file", {"name": "file", "sha256": "0" * 64, "size": 3})
    for order in (put, restoring(new_id(), elsewhere / "file")):
        reject = await server.refused(await server.do(order, kind="file_deployment"))
        assert (reject.code, reject.detail) == (
            RejectCode.POLICY,
            f"{elsewhere} is outside the directories this device allows",
        )
    inside = await server.do(restoring(new_id(), srv / "file"), kind="file_deployment")
    assert "nothing of that execution is kept" in (await server.ended(inside)).detail["summary"]
