"""What was measured of a fleet, as text for `benchmarks/RESULTS.md`."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict

from benchmarks.fleet import PAGE, Dispatch, Found, Idle
from benchmarks.others import Other

_TEXT = """
## One command on every agent of a fleet

On the whole system as `make up` starts it: one web process, one worker with two children. The agents
are simulated in processes of their own; they sign and speak everything and verify nothing, which
devices do on processors of theirs. All of it shares the machine's cores. Timed is from the POST that
executes the task to the last result committed in PostgreSQL, the best of {repeats}; `max_concurrent` is
the number of agents. Pages are read during one more. The floor is the bare exchange of frames with as
many clients in the same run; it keeps nothing. "+ commits" adds what five bare commits of each run
take, without which no promise could be kept, one after the other. All are ms an agent.
Load average before each: {loads}.

| agents | s | ms an agent | floor | times | + commits | times | CPU | web · worker · PostgreSQL · agents |
|---|---|---|---|---|---|---|---|---|
{dispatches}

An agent at {most:,} costs **{scale:.2f}** times one at {least:,} by the clock, and **{cpu_scale:.2f}**
times by the processor; the bare exchange {floor_scale:.2f} and {floor_cpu_scale:.2f} times, which is
what else was going on.

| agents | memory, KiB | heartbeat idle | while dispatching | a page meanwhile | idle CPU, % |
|---|---|---|---|---|---|
{idle}

Memory is what the web process takes for an agent; a heartbeat's answer and a page (`{page}`)
in ms, p50 · p99; idle CPU of one core, web · PostgreSQL. With the agents' connections in a process of
their own, as compose has it, a page of another web process took {elsewhere} ms while {most:,} were
dispatched to, which then took {took_elsewhere:.2f} s.

Beside {queued:,} queued runs of a paused rollout, for agents online and away, a dispatch to {least:,} of
the {most:,} takes {beside:.2f} s, **{slower:.2f}** times as long as without them ({cpu_slower:.2f} by the
processor).

Of {most:,} agents whose web process was killed, the last was online again after
**{reconnected:.0f} s**: a process lets in 300 handshakes a second, and who is refused comes back
with full jitter.

{large}
| beside | hosts | ms a host | times DeployX at {least:,} |
|---|---|---|---|
{others}
"""
_LARGE = """
An execution on {number:,} devices that are away, all at once: opened in **{opened:.1f} s**, its runs
signed and queued {released:.0f} s later, all of them cancelled in {cancelled:.1f} s; those of another
skipped by an abort in {aborted:.1f} s.
"""
_SHOWN = ("web", "worker", "PostgreSQL", "agents")


def render(found: Found) -> str:
    sizes = sorted({one.agents for one in found.dispatches})
    least, most = found.of(sizes[0]), found.of(sizes[-1])
    before, beside = _least(found.before_queued), _least(found.beside_queued)
    return _TEXT.format(
        repeats=len(found.dispatches) // len(sizes),
        loads=", ".join(one.load for one in found.dispatches),
        dispatches="\n".join(_dispatch(found.of(size), found.commits[size]) for size in sizes),
        most=most.agents,
        least=least.agents,
        scale=most.per_host / least.per_host,
        floor_scale=(most.floor / most.agents) / (least.floor / least.agents),
        cpu_scale=_cpu(found, most) / _cpu(found, least),
        floor_cpu_scale=(most.floor_cpu / most.agents) / (least.floor_cpu / least.agents),
        page=PAGE,
        idle="\n".join(_idle(one, _meanwhile(found, one.agents)) for one in found.idle),
        elsewhere=_both([page for one in found.read_elsewhere for page in one.pages]),
        took_elsewhere=min(one.seconds for one in found.read_elsewhere),
        queued=found.queued,
        beside=beside[0],
        slower=beside[0] / before[0],
        cpu_slower=beside[1] / before[1],
        reconnected=found.reconnected,
        large=_LARGE.format(**asdict(found.large)) if found.large is not None else "",
        others="\n".join(_other(one, least) for one in found.others),
    )


def _least(dispatches: Sequence[Dispatch]) -> tuple[float, float]:
    """Seconds of the quickest, and of the processor of the cheapest, a host."""
    return min(one.seconds for one in dispatches), min(one.cpu_per_host for one in dispatches)


def _cpu(found: Found, like: Dispatch) -> float:
    return min(one.cpu_per_host for one in found.dispatches if one.agents == like.agents)


def _meanwhile(found: Found, agents: int) -> list[Dispatch]:
    return [one for one in found.dispatches + found.read_meanwhile if one.agents == agents]


def _dispatch(one: Dispatch, commits: float) -> str:
    floor = one.floor / one.agents
    durable = floor + commits / one.agents
    parts = " · ".join(_ms(one.cpu.get(name, 0.0) / one.agents) for name in _SHOWN)
    return (
        f"| {one.agents:,} | {one.seconds:.2f} | {_ms(one.per_host)} | {_ms(floor)}"
        f" | {one.per_host / floor:.1f} | {_ms(durable)} | {one.per_host / durable:.1f}"
        f" | {_ms(one.cpu_per_host)} | {parts} |"
    )


def _idle(one: Idle, meanwhile: Sequence[Dispatch]) -> str:
    heartbeats = [beat for dispatch in meanwhile for beat in dispatch.heartbeats]
    pages = [page for dispatch in meanwhile for page in dispatch.pages]
    cpu = " · ".join(f"{one.cpu.get(name, 0.0) * 100:.0f}" for name in ("web", "PostgreSQL"))
    return (
        f"| {one.agents:,} | {one.memory / 1024:.0f} | {_both(one.heartbeats)}"
        f" | {_both(heartbeats)} | {_both(pages)} | {cpu} |"
    )


def _other(one: Other, ours: Dispatch) -> str:
    if one.why_not:
        return f"| {one.name} | not measured: {one.why_not} | | |"
    return (
        f"| {one.name} | {one.hosts} | {_ms(one.per_host)}"
        f" | **{one.per_host / ours.per_host:.0f}** |"
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f}"


def _both(seconds: Sequence[float]) -> str:
    """Median and 99th percentile; none where nothing was heard in the time."""
    if not seconds:
        return "–"
    highest = sorted(seconds)[math.ceil(0.99 * len(seconds)) - 1]
    return f"{statistics.median(seconds) * 1000:.1f} · {highest * 1000:.1f}"
