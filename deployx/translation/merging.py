from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polib

from deployx.translation.extraction import Message

WIDTH = 100


def merge(messages: dict[Message, list[str]], path: Path) -> polib.POFile:
    """The catalogue at `path` with an entry for each message and none beside: what was translated
    stays, what is new is empty."""
    old = polib.pofile(str(path), wrapwidth=WIDTH)
    kept = {(one.msgctxt or "", one.msgid): one for one in old}
    new = polib.POFile(wrapwidth=WIDTH)
    new.header, new.metadata = old.header, old.metadata
    for message, places in _of_one_key_each(messages):
        new.append(_entry(message, places, kept.get((message.context, message.singular))))
    return new


def _of_one_key_each(messages: dict[Message, list[str]]) -> Iterator[tuple[Message, list[str]]]:
    """A text that is said both alone and with a plural is one entry of the catalogue."""
    last = None
    for message in sorted(messages, key=lambda one: (one.singular, one.context, not one.plural)):
        if message[:2] != last:
            yield message, messages[message]
        last = message[:2]


def _entry(message: Message, places: list[str], old: polib.POEntry | None) -> polib.POEntry:
    entry = polib.POEntry(
        msgctxt=message.context or None,
        msgid=message.singular,
        msgid_plural=message.plural,
        occurrences=[(place, "") for place in places],
        flags=["python-format"] if "%" in message.singular + message.plural else [],
    )
    if message.plural:
        entry.msgstr_plural = dict(enumerate(["", ""]))
    if old is not None and bool(old.msgid_plural) == bool(message.plural):
        entry.msgstr, entry.tcomment = old.msgstr, old.tcomment
        entry.msgstr_plural = old.msgstr_plural
    return entry
