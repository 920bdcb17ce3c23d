"""Reads what runs wrote, by byte offset, with what is missing marked."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from scheduling.models import DeviceRun, OutputChunk

LIMIT = 256 * 1024


@dataclass(slots=True)
class OutputSlice:
    """A stretch of output. `data` is the bytes as kept; `text` shows gaps and undecodable bytes."""

    next_offset: int
    finished: bool
    truncated: bool
    dropped_bytes: int
    gaps: list[dict[str, int]] = field(default_factory=list)
    text: str = ""
    data: bytes = b""


def read(
    run: DeviceRun, *, offset: int = 0, stream: str | None = None, limit: int = LIMIT
) -> OutputSlice:
    """At most about `limit` bytes from `offset` (bytes of both streams together) on.

    No character is split: bytes of one that is not whole yet are left for the next read, unless the
    run has ended. `stream` (stdout or stderr) leaves the other's bytes out, offsets stay the same.
    """
    gaps = [
        {"offset": gap.offset, "bytes": gap.bytes} for gap in run.output_gaps.order_by("offset")
    ]
    reader = _Reader(offset, stream, limit)
    for piece in _pieces(run, offset, limit, gaps):
        if not reader.take(*piece):
            break
    at_end = reader.next_offset >= run.output_next
    ended = run.has_ended and at_end
    reader.finish(whole=ended or not at_end)
    return OutputSlice(
        next_offset=reader.next_offset,
        finished=ended,
        truncated=run.output_truncated,
        dropped_bytes=sum(gap["bytes"] for gap in gaps),
        gaps=gaps,
        text="".join(reader.text),
        data=b"".join(reader.data),
    )


def _pieces(
    run: DeviceRun, offset: int, limit: int, gaps: list[dict[str, int]]
) -> list[tuple[int, str | None, bytes | int]]:
    """Chunks and gaps that touch [offset, offset + limit), in order: (offset, stream, data or n)."""
    chunks = OutputChunk.objects.filter(run=run).order_by("offset")
    before = chunks.filter(offset__lte=offset).order_by("-offset").values("offset")[:1]
    first = before[0]["offset"] if before else offset
    pieces: list[tuple[int, str | None, bytes | int]] = []
    size = 0
    wanted = chunks.filter(offset__gte=first).values_list("offset", "stream", "data")
    for start, stream, data in wanted.iterator(chunk_size=16):
        pieces.append((start, stream, bytes(data)))
        size += len(data) if start >= offset else 0
        if size >= limit:
            break
    complete = size < limit
    last = pieces[-1][0] if pieces else offset
    holes: list[tuple[int, str | None, bytes | int]] = [
        (gap["offset"], None, gap["bytes"])
        for gap in gaps
        if gap["offset"] + gap["bytes"] > offset and (complete or gap["offset"] <= last)
    ]
    return sorted([*pieces, *holes], key=lambda piece: piece[0])


class _Reader:
    """Joins pieces to text and bytes, decoding each stream on its own."""

    def __init__(self, offset: int, stream: str | None, limit: int) -> None:
        self.next_offset = offset
        self.text: list[str] = []
        self.data: list[bytes] = []
        self._stream = stream
        self._limit = limit
        self._taken = 0
        self._decoders = {
            name: codecs.getincrementaldecoder("utf-8")("replace") for name in ("stdout", "stderr")
        }

    def take(self, start: int, stream: str | None, content: bytes | int) -> bool:
        """Adds a piece; False where enough is read."""
        if isinstance(content, int):
            self._take_gap(start, content)
            return True
        data = content[max(0, self.next_offset - start) :][: self._limit - self._taken]
        if start > self.next_offset or not data:
            return self._taken < self._limit
        self.next_offset += len(data)
        self._taken += len(data)
        if stream is not None and self._stream in (None, stream):
            self.data.append(data)
            self.text.append(self._decode(stream, data))
        return self._taken < self._limit

    def finish(self, *, whole: bool) -> None:
        """Gives bytes of an unfinished character back to the next read, or shows them as they are."""
        held = [data for data, _flag in (d.getstate() for d in self._decoders.values()) if data]
        if whole and self._taken < self._limit:
            self.text += [decoder.decode(b"", True) for decoder in self._decoders.values()]
        elif len(held) == 1 and self.data and self.data[-1].endswith(held[0]):
            self.next_offset -= len(held[0])
            self.data[-1] = self.data[-1][: -len(held[0])]

    def _decode(self, stream: str, data: bytes) -> str:
        return self._decoders[stream].decode(data)

    def _take_gap(self, start: int, number: int) -> None:
        end = start + number
        if end > self.next_offset:
            self.next_offset = end
            self.text.append(_("[%s bytes dropped]") % number)
