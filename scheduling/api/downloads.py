"""What runs wrote, as the bytes it was, a part at a time: a page of it in memory, never all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from django.http import HttpRequest, StreamingHttpResponse

from scheduling import outputs, streaming, terminal
from scheduling.models import DeviceRun, Execution, OutputChunk

if TYPE_CHECKING:
    from uuid import UUID

PART_BYTES = 64 * 1024
RUNS_AT_ONCE = 200
# So much of each of them is read in one query for all.
SMALL_BYTES = 4 * 1024
_READ = (
    "device_name", "status", "attempt", "rolls_back", "exit_code",
    "output_next", "output_kept",
)  # fmt: skip


def response(
    request: HttpRequest, run: DeviceRun, *, offset: int = 0, stream: str | None = None
) -> StreamingHttpResponse:
    """From `offset` to where the output ended when it was asked for."""
    return _streamed(request, _of_run(run, offset, run.output_next, stream))


def of_execution(request: HttpRequest, execution: Execution) -> StreamingHttpResponse:
    """What each of its devices wrote, below a line that names the device."""
    return _streamed(request, _in_parts(_of_runs(execution)))


def _streamed(request: HttpRequest, parts: Iterator[bytes]) -> StreamingHttpResponse:
    sent = streaming.parts_for(request, parts)
    return StreamingHttpResponse(sent, content_type="text/plain; charset=utf-8")


def _of_run(run: DeviceRun, offset: int, end: int, stream: str | None) -> Iterator[bytes]:
    while offset < end:
        found = outputs.pieces(run, offset, min(outputs.LIMIT, end - offset))
        wanted = [one for one in found if one.stream is not None and stream in (None, one.stream)]
        yield b"".join(one.data[: max(0, end - one.offset)] for one in wanted)
        offset = found[-1].end if found else end


def _of_runs(execution: Execution) -> Iterator[bytes]:
    runs = execution.runs.order_by("id").only(*_READ)
    batch = list(runs[:RUNS_AT_ONCE])
    while batch:
        small = _of_small(batch)
        for run in batch:
            yield _heading(run)
            yield from _with_its_end([small[run.pk]] if run.pk in small else _of_all(run))
        batch = list(runs.filter(pk__gt=batch[-1].pk)[:RUNS_AT_ONCE])


def _of_all(run: DeviceRun) -> Iterator[bytes]:
    return _of_run(run, 0, run.output_next, None)


def _of_small(runs: Sequence[DeviceRun]) -> dict[UUID, bytes]:
    """The outputs of those that wrote little and lost none of it."""
    small = {run.pk: b"" for run in runs if run.output_kept == run.output_next <= SMALL_BYTES}
    chunks = OutputChunk.objects.filter(run__in=list(small)).order_by("offset")
    for run_id, data in chunks.values_list("run", "data"):
        small[run_id] += bytes(data)
    return small


def _heading(run: DeviceRun) -> bytes:
    name = " ".join(terminal.plain(run.device_name).split())
    said = [run.status]
    said += [f"exit code {run.exit_code}"] if run.exit_code is not None else []
    said += [f"attempt {run.attempt}"] if run.attempt > 1 else []
    said += ["rollback"] if run.rolls_back_id else []
    return f"==> {name}: {', '.join(said)} <==\n".encode()


def _with_its_end(parts: Iterator[bytes] | Sequence[bytes]) -> Iterator[bytes]:
    """The parts, the last line of them ended: what follows begins on a line of its own."""
    last = b""
    for part in parts:
        last = part or last
        yield part
    if last and not last.endswith(b"\n"):
        yield b"\n"


def _in_parts(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in parts that are worth sending."""
    held, size = [], 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= PART_BYTES:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)
