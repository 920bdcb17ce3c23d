"""What a number was measured on, in words that tell nobody whose machine it was."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import psutil


def sentence() -> str:
    cores = os.cpu_count() or 1
    memory = round(psutil.virtual_memory().total / 2**30)
    return (
        f"{cores} cores ({_processor()}), {memory} GiB, {platform.system()}"
        f" {platform.release().split('-')[0]}, Python {platform.python_version()}"
    )


def load() -> str:
    """The mean number of processes that wanted to run in the last minute: what else was going on."""
    return f"{os.getloadavg()[0]:.1f}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()
