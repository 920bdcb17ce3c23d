"""Writes a batch of output, and drops the middle of what grows past its limit.

Every statement serves all runs of the batch. None of them looks at what was dropped before: where
the kept end begins stands in the run's row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import F, Q

from scheduling import clock
from scheduling.models import DeviceRun, OutputChunk, OutputGap

FIELDS = (
    "output_next", "output_sent", "output_kept", "output_tail_start", "output_truncated",
    "output_form",
)  # fmt: skip
CHUNKS_AT_ONCE = 64


class Piece(NamedTuple):
    offset: int
    stream: str
    data: bytes


@dataclass(slots=True)
class Tail:
    """Where a run's output stands, and what a batch adds to it."""

    run: DeviceRun
    pieces: list[Piece] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    kept_before: int = field(init=False)

    def __post_init__(self) -> None:
        self.kept_before = self.run.output_kept

    @property
    def has_changed(self) -> bool:
        return bool(self.pieces or self.gaps)


class _Doomed(NamedTuple):
    """Consecutive chunks, or what is left of them: nothing but gaps lies between."""

    ids: list[int]
    begin: int
    end: int
    length: int


def write(tails: Sequence[Tail], limits: Mapping[UUID, int]) -> None:
    """The caller holds the runs' rows."""
    if not tails:
        return
    _add([(tail.run.pk, piece) for tail in tails for piece in tail.pieces])
    OutputGap.objects.bulk_create(
        OutputGap(run=tail.run, offset=offset, bytes=length)
        for tail in tails
        for offset, length in tail.gaps
    )
    for tail in tails:
        tail.run.output_truncated |= bool(tail.gaps)
        if tail.pieces:
            tail.run.output_form = DeviceRun.OutputForm.LOOSE.value
    over = [tail.run for tail in tails if tail.run.output_kept > limits[tail.run.pk]]
    while over:
        over = _cut(over, limits)
    _update([tail.run for tail in tails])


def _add(pieces: Iterable[tuple[UUID, Piece]]) -> None:
    """By COPY, as bytes: a statement would carry them as text of twice the length."""
    now = clock.now()
    table = OutputChunk._meta.db_table
    with (
        connection.cursor() as cursor,
        cursor.copy(
            f'COPY "{table}" (run_id, "offset", stream, data, written_at)'
            " FROM STDIN (FORMAT BINARY)"
        ) as copy,
    ):
        copy.set_types(["uuid", "int8", "varchar", "bytea", "timestamptz"])
        for run_id, (offset, stream, data) in pieces:
            copy.write_row((run_id, offset, stream, data, now))


def _cut(runs: Sequence[DeviceRun], limits: Mapping[UUID, int]) -> list[DeviceRun]:
    """Drops the oldest whole chunks after each head; answers the runs that are to be cut again."""
    doomed = _choose({run.pk: (_cut_from(run, limits[run.pk]), run) for run in runs}, limits)
    OutputChunk.objects.filter(pk__in=[pk for one in doomed.values() for pk in one.ids]).delete()
    ends = _mark(doomed)
    left = []
    for run in runs:
        if run.pk not in doomed:
            continue  # nothing is left but its head
        run.output_kept -= doomed[run.pk].length
        run.output_tail_start = ends[run.pk]
        run.output_truncated = True
        if run.output_kept > limits[run.pk]:
            left.append(run)
    return left


def _cut_from(run: DeviceRun, limit: int) -> int:
    """The head's share is the same of a smaller limit."""
    share = settings.DEPLOYX_OUTPUT_HEAD_BYTES * limit // settings.DEPLOYX_OUTPUT_BYTES_PER_RUN
    return run.output_tail_start or share


_CHOOSE = """
SELECT given.run_id, chunk.id, chunk."offset", chunk.length
  FROM unnest(%s::uuid[], %s::bigint[]) AS given (run_id, first)
 CROSS JOIN LATERAL (
       SELECT id, "offset", octet_length(data) AS length
         FROM scheduling_outputchunk
        WHERE run_id = given.run_id AND "offset" >= given.first
        ORDER BY "offset" LIMIT %s) AS chunk
 ORDER BY given.run_id, chunk."offset"
"""


def _choose(
    wanted: Mapping[UUID, tuple[int, DeviceRun]], limits: Mapping[UUID, int]
) -> dict[UUID, _Doomed]:
    with connection.cursor() as cursor:
        starts = [first for first, _run in wanted.values()]
        cursor.execute(_CHOOSE, [list(wanted), starts, CHUNKS_AT_ONCE])
        rows = cursor.fetchall()
    doomed: dict[UUID, _Doomed] = {}
    for run_id, pk, offset, length in rows:
        before = doomed.get(run_id, _Doomed([], offset, offset, 0))
        if before.length < wanted[run_id][1].output_kept - limits[run_id]:
            doomed[run_id] = _Doomed(
                [*before.ids, pk], before.begin, offset + length, before.length + length
            )
    return doomed


def _mark(doomed: Mapping[UUID, _Doomed]) -> dict[UUID, int]:
    """Makes one gap of each stretch and the gaps that touch it; answers where each ends."""
    touching: dict[UUID, list[OutputGap]] = {run_id: [] for run_id in doomed}
    condition = Q(pk=None)
    for run_id, one in doomed.items():
        condition |= Q(run=run_id, offset__lte=one.end, offset__gte=one.begin - F("bytes"))
    for gap in OutputGap.objects.filter(condition):
        touching[gap.run_id].append(gap)
    OutputGap.objects.filter(pk__in=[gap.pk for gaps in touching.values() for gap in gaps]).delete()
    ends = {}
    marks = []
    for run_id, one in doomed.items():
        begin = min([one.begin, *(gap.offset for gap in touching[run_id])])
        ends[run_id] = max([one.end, *(gap.offset + gap.bytes for gap in touching[run_id])])
        marks.append(OutputGap(run_id=run_id, offset=begin, bytes=ends[run_id] - begin))
    OutputGap.objects.bulk_create(marks)
    return ends


_UPDATE = """
UPDATE scheduled_task_device_runs AS run
   SET output_next = given.next, output_sent = given.sent, output_kept = given.kept,
       output_tail_start = given.tail_start, output_truncated = given.truncated,
       output_form = given.form
  FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::boolean[],
              %s::text[]) AS given (id, next, sent, kept, tail_start, truncated, form)
 WHERE run.id = given.id
"""


def _update(runs: Sequence[DeviceRun]) -> None:
    columns = [[getattr(run, name) for run in runs] for name in ("pk", *FIELDS)]
    with connection.cursor() as cursor:
        cursor.execute(_UPDATE, columns)
