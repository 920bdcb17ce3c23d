"""What the shim of a run and the agent tell each other about the files it needs, in the run's folder.

Apart from the transfers themselves: every shim starts with this, and few need more.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

WANTED, HERE, REFUSED, HELD_UP = "wanted", "files", "refused", "held-up"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a shim writes to `wanted/<sha256>`."""

    sha256: str
    size: int | None

    def write(self, folder: Path) -> None:
        write(folder / WANTED / self.sha256, json.dumps({"size": self.size}))

    @classmethod
    def every(cls, folder: Path) -> list[Wish]:
        """The wishes of a run; one that cannot be read is none yet."""
        found = []
        for place in sorted((folder / WANTED).glob("[0-9a-f]*")):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                size = json.loads(place.read_text())["size"]
                if len(place.name) == 64:
                    found.append(cls(place.name, size))
        return found


def write(place: Path, text: str) -> None:
    """Whoever looks finds all of it or nothing."""
    place.parent.mkdir(exist_ok=True, mode=0o700)
    draft = place.with_suffix(".new")
    draft.write_text(text)
    draft.replace(place)
