"""Files are given to whom the order says, and back to whom they belonged."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

import pytest

from devices.tests.agent.device_context import DeviceContext
from devices.tests.agent.placing.orders import deploy, restore, tree

BIN = (2, 2)


def owner(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid


@pytest.mark.parametrize("given", ["nobody", ":daemon", "nobody:daemon", "{user}:{group}"])
def test_a_file_gets_the_owner_it_is_to_have_and_has_its_old_one_back(
    context: DeviceContext, srv: Path, given: str
) -> None:
    """Where the tests do not run as root, nothing can be given away, and that is said."""
    nobody, daemon = pwd.getpwnam("nobody").pw_uid, grp.getgrnam("daemon").gr_gid
    given = given.format(user=nobody, group=daemon)
    (srv / "file").write_text("old")
    if is_root := os.geteuid() == 0:
        os.chown(srv / "file", *BIN)
    before = tree(srv), owner(srv / "file")

    done = deploy(context, srv / "file", context.offer(b"new"), owner=given)

    assert done.succeeded is is_root
    if not is_root:
        assert "only an agent that runs as root may give a file to" in done.summary
    else:
        user, _, group = given.partition(":")
        assert owner(srv / "file") == (nobody if user else BIN[0], daemon if group else BIN[1])
        assert restore(context.another_run(), context.execution, srv / "file").succeeded
    assert (tree(srv), owner(srv / "file")) == before
