"""What an agent tells about its device. Nothing in here changes from one minute to the next."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
from typing import Any

import psutil

from . import __version__, kinds
from .platforms import SYSTEM, account_name, boot_id

_SHELLS = ("sh", "bash", "pwsh", "powershell", "cmd")
_MANAGERS = ("apt-get", "dnf", "winget", "brew")


def gather() -> dict[str, Any]:
    """The device's facts, a JSON object well under 32 KiB."""
    name, version = _system_version()
    return {
        "hostname": socket.gethostname()[:253],
        "os": SYSTEM,
        "os_name": name,
        "os_version": version,
        "kernel": platform.release(),
        "architecture": architecture(),
        "cpus": psutil.cpu_count() or 1,
        "memory_bytes": psutil.virtual_memory().total,
        "disk_bytes": shutil.disk_usage(os.path.abspath(os.sep)).total,
        "boot_id": boot_id(),
        "addresses": _addresses(),
        "agent_version": __version__,
        "agent_account": account_name(),
        "kinds": [kind.name for kind in kinds.every()],
        "python": ".".join(map(str, sys.version_info[:3])),
        "shells": [shell for shell in _SHELLS if shutil.which(shell)],
        "package_managers": [manager for manager in _MANAGERS if shutil.which(manager)],
    }


def load_per_cpu() -> float:
    """The one-minute load average divided by the number of CPUs, never below 0."""
    return round(max(0.0, psutil.getloadavg()[0]) / (psutil.cpu_count() or 1), 3)


def architecture() -> str:
    """amd64 or arm64, as packages are named; else what the machine calls itself."""
    machine = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _system_version() -> tuple[str, str]:
    if SYSTEM != "linux":
        return platform.system(), platform.version()[:200]
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return "Linux", ""
    return release.get("PRETTY_NAME", "Linux")[:200], release.get("VERSION_ID", "")[:200]


def _addresses() -> list[str]:
    """The first few addresses others may reach this device at."""
    families = (socket.AF_INET, socket.AF_INET6)
    found = {
        address.address.partition("%")[0]
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family in families
    }
    return sorted(address for address in found if not address.startswith(("127.", "::1", "fe80")))[
        :16
    ]
