"""Another version of this program: accepted from the server, installed beside this one, taken.

    /opt/deployx-agent/venv            what install.sh installed; it starts whichever is the newest,
                                       itself alone from `install` to the next update
    /opt/deployx-agent/agents/DIGEST   a version that came by itself
    STATE/update.json                  which of those was tried out and is to run
    STATE/update-failed.json           which one was not taken, and why

A version is in `update.json` only after it was welcomed by the server. Up to that moment this
program is what starts after whatever happens; from then on the other.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import __version__, durable
from .config import StateDir
from .identity import Server
from .protocol import (
    ProtocolError,
    Update,
    parse_object,
    update_bytes,
    verify,
    version_number,
)

log = logging.getLogger("deployx_agent.updating")

MOST_BYTES = 64 * 1024 * 1024
PACKAGE = "deployx_agent"
MOST_STARTS = 5
_VERSION = re.compile(r"\d{1,9}(\.\d{1,9}){0,5}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class UpdateFailed(Exception):
    """The other version is not taken; the text says why."""


@dataclass(frozen=True, slots=True)
class Offer:
    version: str
    sha256: str
    size: int

    @property
    def wheel(self) -> str:
        return f"{PACKAGE}-{self.version}-py3-none-any.whl"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The content of `update.json`."""

    version: str
    sha256: str
    python: str


def read_offer(update: Update, server: Server | None) -> Offer:
    """What the server offers. Raises UpdateFailed for what it has not signed, for what is no offer,
    and for a version that is not newer than this one: an old offer, sent again, changes nothing."""
    if server is None or update.key_id != server.key_id:
        raise UpdateFailed(f"key {update.key_id} is not trusted here")
    if not verify(server.public_key, update.signature, update_bytes(update.terms)):
        raise UpdateFailed("the signature is not over these terms")
    offer = _parse(update.terms)
    if version_number(offer.version) <= version_number(__version__):
        raise UpdateFailed(f"{offer.version} is not newer than {__version__}")
    return offer


def _parse(terms: bytes) -> Offer:
    try:
        offer = Offer(**parse_object(terms))
        is_good = (
            _VERSION.fullmatch(offer.version)
            and _SHA256.fullmatch(offer.sha256)
            and type(offer.size) is int
            and 0 < offer.size <= MOST_BYTES
        )
    except (ProtocolError, TypeError) as problem:
        raise UpdateFailed(f"the offer cannot be read: {problem}") from None
    if not is_good:
        raise UpdateFailed("the offer cannot be read")
    return offer


def try_out(chosen: Chosen, state: StateDir, seconds: float) -> None:
    """Has the other version connect. This program must have let go of its state. Raises
    UpdateFailed where the server did not welcome it in time."""
    command = [chosen.python, "-I", "-m", PACKAGE, "try-out", "--state-dir", str(state.path)]
    # Its standard input ends with this process: it does not go on trying alone.
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said
        ) as trial,
    ):
        try:
            code: int | None = trial.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            trial.kill()
        if code != 0:
            said.seek(0)
            why = last_line(said.read().decode(errors="replace"))
            raise UpdateFailed(why or f"its trial ended with {code}")


def last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")[:500]


def take(chosen: Chosen, state: StateDir) -> None:
    """From now on this is the version that runs."""
    durable.write(_choice(state), json.dumps(asdict(chosen)).encode())
    _failure(state).unlink(missing_ok=True)


def refuse(offer: Offer, why: str, state: StateDir) -> None:
    log.error("the update to %s is not taken: %s", offer.version, why)
    before = (failure(state) or {}).get("failures", 0)
    told = {
        "version": offer.version,
        "sha256": offer.sha256,
        "why": why[:500],
        "failures": before + 1 if isinstance(before, int) else 1,
    }
    durable.write(_failure(state), json.dumps(told).encode())


def failure(state: StateDir) -> dict[str, Any] | None:
    """What is told of the last update, if that was not taken."""
    return _read(_failure(state))


def newer(state: StateDir) -> Chosen | None:
    """The version that is to run instead of this program."""
    try:
        chosen = Chosen(**(_read(_choice(state)) or {}))
        is_newer = version_number(chosen.version) > version_number(__version__)
    except (TypeError, ValueError):
        return None
    return chosen if is_newer and os.access(chosen.python, os.X_OK) else None


def become(chosen: Chosen, arguments: list[str]) -> None:
    """Does not return: this process goes on as the other version."""
    program = [chosen.python, "-I", "-m", PACKAGE, *arguments]
    os.execv(chosen.python, program)  # noqa: S606  (no shell is wanted)


def count_start(state: StateDir) -> bool:
    """Whether the chosen version may be started once more: one that never gets as far as serving
    is given up."""
    path = _starts(state)
    starts = (_read(path) or {}).get("starts", 0)
    with contextlib.suppress(OSError):  # a full disk keeps nobody from starting
        durable.write(path, json.dumps({"starts": starts + 1}).encode())
    return bool(starts < MOST_STARTS)


def serves(state: StateDir) -> None:
    """The version that was started got as far as serving."""
    _starts(state).unlink(missing_ok=True)


def give_up(chosen: Chosen, state: StateDir) -> None:
    refuse(
        Offer(chosen.version, chosen.sha256, 0),
        f"it was started {MOST_STARTS} times and never came to serve",
        state,
    )
    _choice(state).unlink(missing_ok=True)
    _starts(state).unlink(missing_ok=True)


def go_back(state: StateDir) -> bool:
    """This program runs from now on. Whether a newer one did that had come by itself."""
    went_back = newer(state) is not None
    _choice(state).unlink(missing_ok=True)
    _starts(state).unlink(missing_ok=True)
    return went_back


def files(state: StateDir) -> tuple[Path, ...]:
    """Everything this module writes."""
    return _choice(state), _failure(state), _starts(state)


def _choice(state: StateDir) -> Path:
    return state.path / "update.json"


def _failure(state: StateDir) -> Path:
    return state.path / "update-failed.json"


def _starts(state: StateDir) -> Path:
    return state.path / "update-starts.json"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
