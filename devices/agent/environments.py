"""Another version of this program, in an environment of its own beside the one that runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import time
import zipfile
from pathlib import Path

from . import durable
from .downloading import Again, Never, Wanted, download
from .identity import Server
from .platforms import SYSTEM
from .updating import PACKAGE, Chosen, Offer, UpdateFailed, last_line

_COMMAND_SECONDS = 300.0
_DOWNLOADS = 5
_PAUSE_SECONDS = 2.0
_FREE_BYTES = 32 * 1024 * 1024


def home() -> Path:
    """The folder that holds this program's environment and those of others. Raises UpdateFailed
    where this program is not of the kind that can be replaced."""
    environment = Path(sys.prefix)
    if __package__ != PACKAGE or sys.prefix == sys.base_prefix:
        raise UpdateFailed("this agent was not installed by install.sh")
    if SYSTEM == "windows":
        raise UpdateFailed("on Windows an agent does not replace itself; install it anew")
    folder = environment.parent
    folder = folder.parent if folder.name == "agents" else folder
    if not os.access(folder, os.W_OK):
        raise UpdateFailed(f"{folder} cannot be written")
    return folder


def install(offer: Offer, server: Server, *, is_idle: bool) -> Chosen:
    """The version in an environment of its own, complete on the disk. Raises UpdateFailed."""
    agents = home() / "agents"
    environment = agents / offer.sha256[:16]
    python = environment / "bin" / "python"
    try:
        agents.mkdir(mode=0o755, exist_ok=True)
        if is_idle:
            _sweep(agents, environment)
        if not (environment / "complete").exists():
            _build(environment, _fetched(offer, server, agents), offer)
    except (OSError, zipfile.BadZipFile) as problem:
        raise UpdateFailed(f"it could not be installed: {problem}") from problem
    said = _run([str(python), "-I", "-m", PACKAGE, "--version"])
    if said.split()[-1:] != [offer.version]:
        raise UpdateFailed(f"what was installed says it is {said.strip()!r}")
    return Chosen(offer.version, offer.sha256, str(python))


def _fetched(offer: Offer, server: Server, folder: Path) -> Path:
    path = folder / f"{offer.sha256}.whl"
    wanted = Wanted(offer.sha256, offer.size, _FREE_BYTES)
    for tries_left in reversed(range(_DOWNLOADS)):
        try:
            url = f"{server.url}/agent/{offer.wheel}"
            download(url, path, wanted, headers={}, go_on=lambda: True)
            return path
        except Never as problem:
            raise UpdateFailed(str(problem)) from problem
        except Again as problem:
            if not tries_left:
                raise UpdateFailed(f"it cannot be fetched: {problem}") from problem
            time.sleep(_PAUSE_SECONDS)
    raise AssertionError("unreachable")


def _build(environment: Path, wheel: Path, offer: Offer) -> None:
    """What this program stands on is copied; only where the other stands on something else is a
    package index asked."""
    shutil.rmtree(environment, ignore_errors=True)
    _run([sys.executable, "-I", "-m", "venv", "--without-pip", str(environment)])
    site = _site_of(environment)
    own = Path(sysconfig.get_paths()["purelib"])
    shutil.copytree(
        own, site, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns(f"{PACKAGE}*")
    )
    _unpack(wheel, site)
    if _needs(site) != _needs(own):
        pip = [str(environment / "bin" / "python"), "-I", "-m", "pip", "--quiet", "--no-input"]
        _run([*pip, "--disable-pip-version-check", "install", "--force-reinstall", str(wheel)])
    os.sync()
    durable.write(environment / "complete", offer.sha256.encode(), mode=0o644)
    wheel.unlink()


def _site_of(environment: Path) -> Path:
    found = list(environment.glob("lib/python*/site-packages"))
    if len(found) != 1:
        raise UpdateFailed(f"{environment} is no environment")
    return found[0]


def _unpack(wheel: Path, site: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            first = name.split("/")[0]
            if not first.startswith(PACKAGE) or ".." in name.split("/") or "\\" in name:
                raise UpdateFailed(f"{name!r} does not belong into a wheel of the agent")
        archive.extractall(site)


def _needs(site: Path) -> set[str]:
    [metadata] = site.glob(f"{PACKAGE}-*.dist-info/METADATA")
    lines = metadata.read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line.startswith(("Requires-Dist:", "Requires-Python:"))}


def _sweep(agents: Path, wanted: Path) -> None:
    """Nothing runs: versions nobody needs any more may go."""
    for one in agents.iterdir():
        if one not in (wanted, Path(sys.prefix)) and not one.name.startswith(wanted.name):
            shutil.rmtree(one) if one.is_dir() else one.unlink()


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
            umask=0o022,
        )
    except subprocess.TimeoutExpired:
        raise UpdateFailed(f"{command[0]} did not come to an end") from None
    if done.returncode != 0:
        raise UpdateFailed(last_line(done.stderr) or f"{command[0]} ended with {done.returncode}")
    return done.stdout
