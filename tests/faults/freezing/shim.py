"""The shim with points to freeze at."""

from __future__ import annotations

import os
from typing import Any

from devices.agent import shim
from devices.agent.outlet import Outlet
from devices.agent.spool import SpoolWriter
from devices.agent.tree import Tree
from tests.faults.freezing import around, point


def _around_the_command() -> None:
    popen = Tree.run.__globals__["subprocess"].Popen

    def started(*args: Any, **kwargs: Any) -> Any:
        point("command:before")
        process = popen(*args, **kwargs)
        point("command:after")
        return process

    Tree.run.__globals__["subprocess"].Popen = started


def _around_the_rename() -> None:
    replace = os.replace

    def renamed(*args: Any, **kwargs: Any) -> None:
        point("exit:unnamed")
        replace(*args, **kwargs)

    os.replace = renamed


around(shim.Shim, "__init__", "work")
around(SpoolWriter, "append", "output")
around(Outlet, "drain", "drain")
around(SpoolWriter, "close", "spool")
around(shim, "_leave", "exit")
_around_the_command()
_around_the_rename()
shim.main()
