"""Orders of file deployments, and what a folder holds."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from devices.agent.kinds import Finished, JsonObject, get
from devices.tests.agent.device_context import DeviceContext

KIND = get("file_deployment")
Tree = dict[str, object]


def order_for(target: Path | str, *files: JsonObject, **options: Any) -> JsonObject:
    return KIND.accept({"files": list(files), "target_path": str(target), **options})


def deploy(
    context: DeviceContext, target: Path | str, *files: JsonObject, **options: Any
) -> Finished:
    return KIND.run(order_for(target, *files, **options), context)


def restoring(execution: str, target: Path | str) -> JsonObject:
    return KIND.accept({"restore": {"execution": execution, "target_path": str(target)}})


def restore(context: DeviceContext, execution: str, target: Path | str) -> Finished:
    return KIND.run(restoring(execution, target), context)


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
