"""A file of YAML or JSON as the raw data of a verb."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from accounts.errors import InvalidInput
from scheduling.porting import document

MOST_BYTES = 256 * 1024


def read(path: str) -> dict[str, Any]:
    """Raises InvalidInput naming the file."""
    try:
        data = _bytes_of(path)
    except OSError as error:
        raise _wrong(path, str(error.strerror)) from None
    if len(data) > MOST_BYTES:
        raise _wrong(path, _("it is too large"))
    try:
        value = json.loads(data) if data.lstrip().startswith(b"{") else document.read(data)
    except ValueError as error:
        raise _wrong(path, str(error).rstrip(".")) from None
    if not isinstance(value, dict):
        raise _wrong(path, _("it holds no fields"))
    return value


def _wrong(path: str, why: str) -> InvalidInput:
    return InvalidInput({"from_file": [_("%(path)s: %(why)s.") % {"path": path, "why": why}]})


def _bytes_of(path: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read(MOST_BYTES + 1)
    with Path(path).open("rb") as file:
        return file.read(MOST_BYTES + 1)
