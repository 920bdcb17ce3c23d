"""Merges the output of runs that have ended, and compares it with what their devices say of it.

A run comes in pieces of a line or 32 KiB; kept for a month, it takes a few rows of 256 KiB.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

import structlog
from django.db import connection, transaction

from scheduling.models import DeviceRun, OutputChunk

log = structlog.get_logger(__name__)
MERGED_BYTES = 256 * 1024
RUNS_AT_ONCE = 500
MOST_SECONDS = 2.0


class _Chunk(NamedTuple):
    pk: int
    offset: int
    stream: str
    length: int


def merge_some() -> int:
    """Merges what so many runs wrote, those that ended first first, each in its own transaction."""
    loose = DeviceRun.objects.filter(output_form="loose", finished_at__isnull=False)
    ids = list(loose.order_by("finished_at", "pk").values_list("pk", flat=True)[:RUNS_AT_ONCE])
    until = time.monotonic() + MOST_SECONDS
    return sum(merge(pk) for pk in ids if time.monotonic() < until)


@transaction.atomic
def merge(run_id: UUID) -> bool:
    """False where somebody else holds the row, or has done it. A run whose device still sends (a
    lost one may) is merged again by and by."""
    rows = DeviceRun.objects.filter(pk=run_id, output_form="loose", finished_at__isnull=False)
    locked = rows.select_for_update(no_key=True, skip_locked=True)
    run = locked.only("output_kept", "output_sent", "output_sha256").first()
    if run is None:
        return False
    if run.output_sha256 and run.output_kept == run.output_sent:
        run.is_output_verified = _is_as_sent(run)
    for group in _groups(_chunks(run)):
        _join(group)
    run.output_form = DeviceRun.OutputForm.MERGED
    run.save(update_fields=["output_form", "is_output_verified"])
    return True


_CHUNKS = """
SELECT id, "offset", stream, octet_length(data) FROM scheduling_outputchunk
 WHERE run_id = %s ORDER BY "offset"
"""
_DIGEST = """
SELECT encode(sha256(string_agg(data, ''::bytea ORDER BY "offset")), 'hex')
  FROM scheduling_outputchunk WHERE run_id = %s
"""
_JOIN = """
UPDATE scheduling_outputchunk AS chunk SET data = joined.data
  FROM (SELECT string_agg(data, ''::bytea ORDER BY "offset") AS data
          FROM scheduling_outputchunk WHERE id = ANY(%s)) AS joined
 WHERE chunk.id = %s
"""


def _chunks(run: DeviceRun) -> list[_Chunk]:
    with connection.cursor() as cursor:
        cursor.execute(_CHUNKS, [run.pk])
        return [_Chunk(*row) for row in cursor.fetchall()]


def _groups(chunks: Iterable[_Chunk]) -> Iterator[list[_Chunk]]:
    """Neighbours of one stream that make up at most 256 KiB; single ones are left out."""
    group: list[_Chunk] = []
    size = 0
    for chunk in chunks:
        follows = bool(group) and (chunk.offset, chunk.stream) == (
            group[-1].offset + group[-1].length,
            group[-1].stream,
        )
        if not follows or size + chunk.length > MERGED_BYTES:
            if len(group) > 1:
                yield group
            group, size = [], 0
        group.append(chunk)
        size += chunk.length
    if len(group) > 1:
        yield group


def _join(group: Sequence[_Chunk]) -> None:
    ids = [chunk.pk for chunk in group]
    with connection.cursor() as cursor:
        cursor.execute(_JOIN, [ids, ids[0]])
    OutputChunk.objects.filter(pk__in=ids[1:]).delete()


def _is_as_sent(run: DeviceRun) -> bool:
    """Nothing of what the device sent was dropped here: it must be what it says that it sent."""
    with connection.cursor() as cursor:
        cursor.execute(_DIGEST, [run.pk])
        (digest,) = cursor.fetchone()
    if digest != run.output_sha256:
        log.error("output_differs", run=str(run.pk))
    return bool(digest == run.output_sha256)
