"""The steps of software deployments that succeeded here, for what nothing can detect."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from . import durable
from .kinds import JsonObject

_KEPT_EXECUTIONS = 100
_ALL = "all"


class Done:
    """Those of one execution and of the ones it resumes, the oldest first."""

    def __init__(self, memory: Path, execution: str, resumed: Sequence[str] = ()) -> None:
        self._path = memory / f"{execution}.json"
        self._earlier = [memory / f"{one}.json" for one in resumed]

    def version_of(self, entry: JsonObject) -> str | None:
        return self._read().get(entry["id"])

    def has(self, entry: JsonObject) -> bool:
        return entry["id"] in self._read()

    def record(self, entry: JsonObject, version: str | None) -> None:
        self._write({**self._read(), entry["id"]: version})

    def close(self) -> None:
        """All steps succeeded: who resumes that all the same wants every step anew."""
        self._write({**self._read(), _ALL: ""})

    def _write(self, known: JsonObject) -> None:
        durable.write(self._path, json.dumps(known).encode())
        notes = sorted(self._path.parent.glob("*.json"), key=lambda one: one.stat().st_mtime)
        for old in notes[:-_KEPT_EXECUTIONS]:
            old.unlink(missing_ok=True)

    def _read(self) -> JsonObject:
        known: JsonObject = {}
        for path in self._earlier:
            noted = _noted(path)
            known = {} if _ALL in noted else {**known, **noted}
        return {**known, **_noted(self._path)}


def _noted(path: Path) -> JsonObject:
    try:
        noted: JsonObject = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return noted
