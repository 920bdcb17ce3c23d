"""The agent's wheel, as devices install it: the sources beside this module, packed.

Nothing in it depends on when, where or by what it is packed (no times, no owners, no compression), so
that every process of an installation names the same digest; docs/decisions/0009-the-agents-wheel.md.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from devices.agent import __version__

SOURCES = Path(__file__).resolve().parent / "agent"
TAG = "py3-none-any"
_PACKAGE = "deployx_agent"
_INFO = f"{_PACKAGE}-{__version__}.dist-info"
_WHEEL = f"Wheel-Version: 1.0\nGenerator: deployx\nRoot-Is-Purelib: true\nTag: {TAG}\n"
_FIRST_MOMENT_OF_ZIP = (1980, 1, 1, 0, 0, 0)
_PLAIN_FILE = 0o100644 << 16
_UNIX = 3


@dataclass(frozen=True, slots=True)
class Wheel:
    name: str
    content: bytes
    sha256: str


@cache
def built() -> Wheel:
    """Of the sources as they are at the first call; the same object from then on."""
    content = _packed()
    name = f"{_PACKAGE}-{__version__}-{TAG}.whl"
    return Wheel(name, content, digest(content))


def digest(content: bytes) -> str:
    """SHA-256 as install.sh, pip and HTTP's ETag are told it."""
    return hashlib.sha256(content).hexdigest()


def _packed() -> bytes:
    """As https://packaging.python.org/en/latest/specifications/binary-distribution-format/ says."""
    files = dict(_files())
    record = f"{_INFO}/RECORD"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, content in [*files.items(), (record, _record(files, record))]:
            entry = zipfile.ZipInfo(name, _FIRST_MOMENT_OF_ZIP)
            entry.create_system, entry.external_attr = _UNIX, _PLAIN_FILE
            archive.writestr(entry, content)
    return packed.getvalue()


def _files() -> Iterator[tuple[str, bytes]]:
    for path in sorted([*SOURCES.rglob("*.py"), SOURCES / "py.typed"]):
        yield f"{_PACKAGE}/{path.relative_to(SOURCES).as_posix()}", path.read_bytes()
    project = tomllib.loads((SOURCES / "pyproject.toml").read_text())["project"]
    scripts = "".join(f"{name} = {target}\n" for name, target in project["scripts"].items())
    yield f"{_INFO}/METADATA", _metadata(project).encode()
    yield f"{_INFO}/WHEEL", _WHEEL.encode()
    yield f"{_INFO}/entry_points.txt", f"[console_scripts]\n{scripts}".encode()


def _metadata(project: dict[str, Any]) -> str:
    """As https://packaging.python.org/en/latest/specifications/core-metadata/ says."""
    fields = [
        ("Metadata-Version", "2.4"),
        ("Name", project["name"]),
        ("Version", __version__),
        ("Summary", project["description"]),
        ("License-Expression", project["license"]),
        *(("Classifier", one) for one in project["classifiers"]),
        ("Requires-Python", project["requires-python"]),
        *(("Requires-Dist", one) for one in project["dependencies"]),
    ]
    return "".join(f"{name}: {value}\n" for name, value in fields)


def _record(files: dict[str, bytes], own_name: str) -> bytes:
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    for name, content in files.items():
        coded = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.writerow([name, f"sha256={coded}", len(content)])
    rows.writerow([own_name, "", ""])
    return written.getvalue().encode()


def main(folder: str) -> None:
    """Leaves the wheel in `folder`, for those who carry it to a device by hand."""
    wheel = built()
    path = Path(folder) / wheel.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wheel.content)
    sys.stdout.write(f"{path}\nsha256 {wheel.sha256}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
