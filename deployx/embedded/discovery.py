"""How every other command in a checkout finds the services that `manage.py up` started there."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Running:
    """Addresses of the embedded services; empty where an own one is used instead."""

    database_url: str
    redis_url: str
    web_url: str

    def write(self, folder: Path) -> None:
        write_private(_file(folder), json.dumps(asdict(self)))

    @classmethod
    def read(cls, folder: Path) -> Running | None:
        """What is written there, whether or not it still runs; None where nothing is."""
        try:
            return cls(**json.loads(_file(folder).read_text()))
        except (OSError, ValueError, TypeError):
            return None


def forget(folder: Path) -> None:
    _file(folder).unlink(missing_ok=True)


def secret(folder: Path, name: str) -> str:
    """A random secret of this checkout, made at the first ask and kept in a file of 0600."""
    path = folder / "keys" / name
    with suppress(FileNotFoundError):
        return path.read_text()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        _create(path, secrets.token_urlsafe(50))
    return path.read_text()


def write_private(path: Path, text: str) -> None:
    """Replaces the file as a whole; only its owner may read it."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    _create(draft, text)
    draft.replace(path)


def _create(path: Path, text: str) -> None:
    """Complete or not at all: a name appears only with all of its text."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        os.link(draft, path)
    finally:
        draft.unlink()


def _file(folder: Path) -> Path:
    return folder / "services.json"
