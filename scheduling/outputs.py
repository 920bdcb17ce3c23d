"""Reads what runs wrote, by byte offset, with what is missing marked.

Chunks may be merged, dropped or pruned while somebody reads. Gaps are therefore looked up after the
chunks: whatever was dropped by then is marked by then, and no read ever passes over a hole.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db.models import BigIntegerField, BinaryField, F, Func, IntegerField, QuerySet
from django.db.models.functions import Cast, Coalesce, Greatest, Least
from django.utils.translation import gettext as _

from scheduling.models import DeviceRun, OutputChunk, OutputGap

LIMIT = 256 * 1024
MOST_GAPS = 1_000
_MOST_UNFINISHED = 3


@dataclass(slots=True)
class OutputSlice:
    """A stretch of output. `data` is the bytes as kept; `text` shows gaps and undecodable bytes.
    `gaps` are the whole run's, the first 1,000, and `dropped_bytes` all it has."""

    next_offset: int
    finished: bool
    truncated: bool
    dropped_bytes: int
    gaps: list[dict[str, int]] = field(default_factory=list)
    text: str = ""
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of one stream, or a gap: then `stream` is None and `data` empty."""

    offset: int
    end: int
    stream: str | None = None
    data: bytes = b""


def read(
    run: DeviceRun,
    *,
    offset: int = 0,
    stream: str | None = None,
    limit: int = LIMIT,
    with_gaps: bool = True,
) -> OutputSlice:
    """At most `limit` bytes from `offset` (bytes of both streams together) on.

    No character is split: bytes of one that is not whole yet are left for the next read, unless the
    run has ended. `stream` (stdout or stderr) leaves the other's bytes out, offsets stay the same.
    """
    found = pieces(run, offset, limit)
    reached = found[-1].end if found else offset
    is_at_end = reached >= run.output_next
    text = _Text(run, offset)
    shown = [one for one in found if one.stream is None or stream in (None, one.stream)]
    for piece in shown:
        text.take(piece)
    if is_at_end and run.has_ended:
        text.finish()
    elif is_at_end:
        reached -= text.unfinished(found)
    return OutputSlice(
        next_offset=reached,
        finished=is_at_end and run.has_ended,
        truncated=run.output_truncated,
        dropped_bytes=run.dropped_bytes,
        gaps=_gaps(run) if with_gaps else [],
        text=text.written,
        data=b"".join(one.data[: max(0, reached - one.offset)] for one in shown),
    )


def _gaps(run: DeviceRun) -> list[dict[str, int]]:
    rows = run.output_gaps.order_by("offset").values_list("offset", "bytes")[:MOST_GAPS]
    return [{"offset": begin, "bytes": length} for begin, length in rows]


def pieces(run: DeviceRun, offset: int, limit: int) -> list[Piece]:
    """Chunks and gaps from `offset` on, in order and without a hole; `limit` bytes of chunks."""
    found: list[Piece] = []
    position, size = offset, 0
    for chunk in _chunks(run, offset, limit):
        if chunk.offset > position:
            found.append(Piece(position, chunk.offset))
        found.append(chunk)
        position = chunk.end
        size += len(chunk.data)
    while size < limit and (end := _gap_end(run, position)) is not None:
        found.append(Piece(position, end))
        position = end
    return found


def _chunks(run: DeviceRun, offset: int, limit: int) -> Iterator[Piece]:
    position, left = offset, limit
    while left > 0:
        past, before = position + left, left
        for start, stream, data in _touching(run, position, past):
            begin = max(start, position)
            part = bytes(data)[begin - start :][:left]
            if part:
                yield Piece(begin, begin + len(part), stream, part)
                position, left = begin + len(part), left - len(part)
        if left == before:
            later = OutputChunk.objects.filter(run=run, offset__gte=past).order_by("offset")
            following = later.values_list("offset", flat=True).first()
            if following is None:
                return
            position = following


def _touching(run: DeviceRun, first: int, past: int) -> QuerySet[OutputChunk, Any]:
    """One statement, so that a merge in between cannot hide what it moves."""
    chunks = OutputChunk.objects.filter(run=run).order_by("offset")
    around = chunks.filter(offset__lte=first).order_by("-offset").values("offset")[:1]
    touching = chunks.filter(offset__gte=Coalesce(around, 0), offset__lt=past)
    return touching.values_list("offset", "stream", "data")


def _gap_end(run: DeviceRun, position: int) -> int | None:
    """Where the gap that covers this offset ends."""
    gaps = OutputGap.objects.filter(run=run, offset__lte=position).order_by("-offset")
    gap = gaps.first()
    return gap.offset + gap.bytes if gap is not None and gap.offset + gap.bytes > position else None


class _Text:
    """Joins pieces to text, decoding each stream on its own."""

    def __init__(self, run: DeviceRun, offset: int) -> None:
        self._run = run
        self._offset = offset
        self._is_unbroken = True
        self._parts: list[str] = []
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}

    @property
    def written(self) -> str:
        return "".join(self._parts)

    def take(self, piece: Piece) -> None:
        if piece.stream is None:
            self._is_unbroken = False
            self.finish()
            self._parts.append(_("[%s bytes dropped]") % (piece.end - piece.offset))
            return
        if piece.stream not in self._decoders:
            self._decoders[piece.stream] = self._decoder(piece)
        self._parts.append(self._decoders[piece.stream].decode(piece.data))

    def finish(self) -> None:
        """Nothing follows: shows what has remained of characters as undecodable."""
        self._parts += [decoder.decode(b"", True) for decoder in self._decoders.values()]

    def unfinished(self, found: list[Piece]) -> int:
        """How many of the last bytes belong to characters that are not whole yet."""
        held = {name: len(one.getstate()[0]) for name, one in self._decoders.items()}
        number = 0
        for piece in reversed(found):
            part = min(held.get(piece.stream or "", 0), len(piece.data))
            number += part
            if part < len(piece.data) or piece.stream is None:
                break
            held[piece.stream] -= part
        return number

    def _decoder(self, piece: Piece) -> codecs.IncrementalDecoder:
        """A new one; where the piece begins within a character, it has seen that one's beginning."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        is_within = piece.data[0] & 0b1100_0000 == 0b1000_0000
        if is_within and self._is_unbroken and piece.stream is not None:
            decoder.decode(_before(self._run, piece.stream, self._offset))
        return decoder


def _before(run: DeviceRun, stream: str, offset: int) -> bytes:
    """The last bytes of a stream before an offset, as many as an unfinished character may have."""
    gap = OutputGap.objects.filter(run=run, offset__lt=offset).order_by("-offset").first()
    length = Func(F("data"), function="octet_length", output_field=BigIntegerField())
    reached = Least(length, offset - F("offset"))
    first = Greatest(reached - _MOST_UNFINISHED + 1, 1)
    end = Func(
        F("data"),
        Cast(first, IntegerField()),
        Cast(reached - first + 1, IntegerField()),
        function="substring",
        output_field=BinaryField(),
    )
    chunks = OutputChunk.objects.filter(run=run, stream=stream, offset__lt=offset)
    whole = chunks.filter(offset__gte=gap.offset + gap.bytes if gap else 0)
    tails = whole.order_by("-offset").values_list(end, flat=True)[:_MOST_UNFINISHED]
    return b"".join(bytes(tail) for tail in reversed(tails))[-_MOST_UNFINISHED:]
