"""P6: a model of its own for the output, which explores every way in which a network that loses,
doubles and reorders, and an agent that is restarted, can bring it to the server."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.protocol_model.output_device import BYTES, END, STREAMS, OutputDevice, Sending
from tests.protocol_model.output_server import Kept, OutputServer

_MOST_CALM = 60


class Flow(NamedTuple):
    """`frames` and `answers` have been sent: any of them may arrive at any time, any number of times,
    or never. Answers reach only the session they were sent in, and are gone with it."""

    sending: Sending
    kept: Kept = Kept()
    frames: frozenset[Any] = frozenset()
    answers: frozenset[int] = frozenset()
    restarts: int = 1


class Outputs:
    def __init__(self, device: OutputDevice, server: OutputServer) -> None:
        self._device = device
        self._server = server

    def begin(self, restarts: int) -> Flow:
        sending, frames = self._device.step(self._device.begin(), "goes_on")
        return Flow(sending, frames=frames, restarts=restarts)

    def moves(self, flow: Flow) -> Iterator[tuple[str, Flow]]:
        for frame in sorted(flow.frames, key=str):
            yield f"the server gets {frame}", self._at_server(flow, frame)
        for upto in sorted(flow.answers):
            for word in ("acknowledged", "acknowledged_again"):
                yield f"the device hears {upto} ({word})", self._at_device(flow, word, upto)
        yield "nothing comes for a while", self._at_device(flow, "stuck")
        if flow.restarts:
            sending = self._device.restarted(flow.sending)
            other = flow._replace(sending=sending, answers=frozenset(), restarts=flow.restarts - 1)
            yield "the agent is restarted", self._at_device(other, "goes_on")

    def _at_server(self, flow: Flow, frame: Any) -> Flow:
        kept, answer = self._server.step(flow.kept, frame)
        answers = flow.answers if frame == "result" else flow.answers | {answer}
        return flow._replace(kept=kept, answers=answers)

    def _at_device(self, flow: Flow, word: str, what: int = 0) -> Flow:
        sending, frames = self._device.step(flow.sending, word, what)
        return flow._replace(sending=sending, frames=flow.frames | frames)

    def calms_down(self, flow: Flow) -> bool:
        """Whether all of it arrives once the network is well again: what was under way is lost, what
        is sent from now on arrives once and in order, and so do the answers."""
        sending, kept = flow.sending, flow.kept
        for _turn in range(_MOST_CALM):
            if kept.has_ended:
                return True
            sending, frames = self._device.step(sending, "stuck")
            for frame in sorted(frames, key=lambda one: (one == "result", str(one))):
                kept, answer = self._server.step(kept, frame)
                if frame != "result":
                    sending, _later = self._device.step(sending, "acknowledged", answer)
        return False


class Flaw(NamedTuple):
    what: str
    way: list[str]
    states: int

    def __str__(self) -> str:
        return "\n".join([self.what, *self.way])


def explore(
    outputs: Outputs, restarts: int = 1, most_states: int = 100_000
) -> tuple[int, Flaw | None]:
    """How many states there are, and the first in which P6 is broken with the way to it."""
    first = outputs.begin(restarts)
    came_from: dict[Flow, tuple[Flow, str] | None] = {first: None}
    queue = deque([first])
    well: set[tuple[Sending, Kept]] = set()
    states = 0
    while queue and states < most_states:
        flow = queue.popleft()
        states += 1
        what = broken(flow.kept)
        if not what and (flow.sending, flow.kept) not in well:
            well.add((flow.sending, flow.kept))
            what = "" if outputs.calms_down(flow) else "P6: it never arrives"
        if what:
            return states, Flaw(what, _way(came_from, flow), states)
        for said, after in outputs.moves(flow):
            if after not in came_from:
                came_from[after] = (flow, said)
                queue.append(after)
    return states, None


def broken(kept: Kept) -> str:
    """In order, without holes, or marked with the exact number of bytes dropped."""
    at = 0
    pieces = [(offset, stream, data) for offset, stream, data in kept.chunks]
    pieces += [(offset, None, b"." * length) for offset, length in kept.gaps]  # type: ignore[misc]
    for offset, stream, data in sorted(pieces, key=lambda one: one[0]):
        if offset != at:
            return f"P6: at {at} there is a hole, or something twice"
        at += len(data)
        if BYTES[offset:at] != data or any(one != stream for one in STREAMS[offset:at]):
            return f"P6: from {offset} on it is not what was written"
    if at != kept.next:
        return f"P6: the server has {at} bytes and goes on at {kept.next}"
    if kept.has_ended and (at != END or not kept.has_digest):
        return f"P6: the run has ended, and the server has {at} of {END} bytes"
    return ""


def _way(came_from: dict[Flow, tuple[Flow, str] | None], flow: Flow) -> list[str]:
    way: list[str] = []
    while (step := came_from[flow]) is not None:
        flow, said = step
        way.append(said)
    return way[::-1]
