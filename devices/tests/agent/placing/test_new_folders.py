"""Folders made on the way to a file are for everybody to enter, as if a command had made them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from devices.tests.agent.device_context import DeviceContext
from devices.tests.agent.placing.orders import deploy


def test_they_are_readable_whatever_the_agent_keeps_to_itself(
    context: DeviceContext, srv: Path
) -> None:
    srv.chmod(0o2755)
    os.umask(0o077)
    target = srv / "etc/tool/tool.conf"
    assert deploy(context, target, context.offer(b"new"), create_path_if_not_exists=True).succeeded
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (target, *target.parents[:2])]
    assert modes == [0o644, 0o2755, 0o2755]
    assert os.umask(0o077) == 0o077
