"""Which of two versions of a software is the newer one.

As Debian Policy 5.6.12 orders them: numbers by their value, a tilde before everything, even the end. A
version of no package manager is read alike, but that words such as `rc` come before the end as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest

_DEBIAN_LIKE = ("deb", "apt", "rpm", "dnf")
_EPOCH = re.compile(r"([0-9]+):")
_BEFORE = re.compile(r"[-._+ ]?(?=(?:alpha|beta|rc|preview|pre|dev|snapshot)(?![a-z]))")
_ZEROS = re.compile(r"(?:\.0+)+(?![.0-9])")
_PARTS = re.compile(r"([^0-9]*)([0-9]*)")
_Part = tuple[list[int], int]
_END: _Part = ([0], 0)


def compare(one: str, other: str, form: str) -> int | None:
    """Below, at or above 0 as `one` is older than, the same as or newer than `other`, of a format of
    software; None where one of them is no version that could be ordered."""
    if one == other:
        return 0
    is_debian_like = form in _DEBIAN_LIKE
    first, second = (text if is_debian_like else _plain(text) for text in (one, other))
    if not all(text[:1].isdecimal() for text in (first, second)):
        return None
    if not (_EPOCH.match(first) and _EPOCH.match(second)):
        # Who writes an entry names the version that people know, without its epoch.
        first, second = (_EPOCH.sub("", text, count=1) for text in (first, second))
    for left, right in zip(_split(first), _split(second), strict=True):
        for part, counterpart in zip_longest(left, right, fillvalue=_END):
            if part != counterpart:
                return 1 if part > counterpart else -1
    return 0


def _plain(text: str) -> str:
    return _ZEROS.sub("", _BEFORE.sub("~", text.lower().removeprefix("v")))


def _split(version: str) -> Iterator[list[_Part]]:
    """Epoch, upstream version and revision."""
    epoch, _, rest = version.rpartition(":")
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    for text in (epoch, upstream, revision):
        yield [(_letters(words), int(digits or 0)) for words, digits in _PARTS.findall(text)]


def _letters(words: str) -> list[int]:
    """Letters before all other characters, the end before them, and a tilde before the end."""
    places = [-1 if one == "~" else ord(one) + 0x110000 * (not one.isalpha()) for one in words]
    return [*places, 0]
