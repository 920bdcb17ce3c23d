from __future__ import annotations

import os
from pathlib import Path

import polib


def compile_stale(folder: Path) -> list[Path]:
    """Writes the .mo beside each .po below the folder whose .mo is missing or older; names them.
    Safe at the same moment in several processes."""
    stale = [path for path in sorted(folder.glob("*/LC_MESSAGES/*.po")) if _is_stale(path)]
    for path in stale:
        finished = path.with_suffix(f".{os.getpid()}.tmp")
        polib.pofile(str(path)).save_as_mofile(str(finished))
        finished.replace(path.with_suffix(".mo"))
    return stale


def _is_stale(path: Path) -> bool:
    compiled = path.with_suffix(".mo")
    return not compiled.exists() or compiled.stat().st_mtime < path.stat().st_mtime
