"""Every move from a state to the next: both halves, the network between them, and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.protocol_model import machine as machines
from tests.protocol_model.changes import after, down, spend, with_process
from tests.protocol_model.crashes import killed, powerless
from tests.protocol_model.device import Device
from tests.protocol_model.frames import Frame
from tests.protocol_model.server import Answering, DeviceRow, Row
from tests.protocol_model.serving import Serving
from tests.protocol_model.states import TO_DEVICE, Bounds, Move, Truth, World, swapped


class Model(Serving):
    def __init__(self, device: Device, server: Answering, number_of_runs: int = 1) -> None:
        super().__init__(server, number_of_runs)
        self._device = device

    def begin(self, bounds: Bounds) -> World:
        """Released runs, and an agent that has just been started."""
        return World(
            self._device.begin(),
            DeviceRow(),
            (Row("queued"),) * self._count,
            truths=(Truth(),) * self._count,
            left=bounds,
        )

    def moves(self, world: World) -> Iterator[Move]:
        yield from self._deliveries(world, is_to_device=False)
        yield from self._of_machine(world)
        if world.other is not None:
            for move in self._of_machine(swapped(world)):
                said = ("on the second machine", "-", *move.said)
                yield move._replace(said=said, world=swapped(move.world))
        elif world.left.clones:
            yield self._cloned(world)
        yield from self.reconcile(world)
        yield from self._people(world)
        yield from self._restores(world)

    # Frames arrive, once or twice, in any order or never.

    def _deliveries(self, world: World, *, is_to_device: bool) -> Iterator[Move]:
        # In an order that does not depend on hashes, so that the first way found is always the same.
        for frame in sorted(world.frames, key=str):
            if (frame.kind in TO_DEVICE) != is_to_device:
                continue
            without = world._replace(frames=world.frames - {frame})
            yield from self.arrives(without, frame)
            if world.left.doubles and frame.kind not in ("settle", "asking", "hello"):
                for move in self.arrives(spend(world, "doubles"), frame):
                    yield move._replace(said=(*move.said, "(and will once more)"))

    def arrives(self, world: World, frame: Frame) -> Iterator[Move]:
        if frame.kind not in TO_DEVICE:
            yield from self._at_server(world, frame)
        elif world.device.is_up and world.device.session == frame.session:
            yield from self._at_device(world, frame)

    def _at_device(self, world: World, frame: Frame) -> Iterator[Move]:
        is_early = frame.kind in ("welcome", "recall")
        if is_early == world.device.is_open:
            return
        word, what = _WORDS[frame.kind], _argument(frame)
        yield from self._steps(world, word, what, ("the device gets", frame))
        if frame.kind == "grant" and world.left.people:
            spent = spend(world, "people")
            yield from self._steps(
                spent, "grant_refused", what, ("the device refuses the", frame), crashes=False
            )
        if frame.kind in ("go", "ack") and world.left.full:
            spent = spend(world, "full")
            yield from self._steps(
                spent, word + "_on_full_disk", what, ("on a full disk, the device gets", frame),
                crashes=False,
            )  # fmt: skip

    def _at_server(self, world: World, frame: Frame) -> Iterator[Move]:
        handle = getattr(self, f"_on_{frame.kind}")
        yield from handle(world, frame, ("the server gets", frame))

    def _of_machine(self, world: World) -> Iterator[Move]:
        yield from self._deliveries(world, is_to_device=True)
        yield from self.agent(world)
        yield from self._machine(world)

    # The agent.

    def agent(self, world: World) -> Iterator[Move]:
        device = world.device
        if not device.is_up:
            yield from self._steps(world, "resume", None, ("the agent starts",))
        elif not device.session:
            if world.sessions < world.left.sessions:
                opened = world._replace(sessions=world.sessions + 1)
                number = opened.sessions
                yield from self._steps(opened, "introduce", number, ("the agent connects",))
        else:
            if device.is_open:
                for word in _REPEATS:
                    yield from self._steps(world, word, None, ("the agent comes to", word))
            if world.left.cuts:
                yield self.cut_off(spend(world, "cuts"))
        if world.left.people and device.is_up and device.is_open and not device.is_stopping:
            spent = spend(world, "people")
            yield from self._steps(spent, "stop", None, ("the agent is asked to stop",))

    def stops(self, world: World) -> Move:
        """The agent ends as it was asked to."""
        return Move(("the agent has ended",), down(world, killed(world.device)))

    def cut_off(self, world: World) -> Move:
        step = self._device.step(world.device, "cut_off", None, world.is_late)
        return Move(("the connection is cut",), after(world, step))

    def _steps(
        self, world: World, word: str, what: Any, said: tuple[Any, ...], *, crashes: bool = True
    ) -> Iterator[Move]:
        """The step, and every way in which a crash could cut it short."""
        step = self._device.step(world.device, word, what, world.is_late)
        yield Move(said, after(world, step))
        if crashes and world.left.crashes:
            crashed = spend(world, "crashes")
            for cut in self._device.cuts(world.device, word, what, world.is_late):
                yield Move((*said, "-", cut.how), after(crashed, cut.step))

    # The machine it is on.

    def _machine(self, world: World) -> Iterator[Move]:
        for run, process in enumerate(world.device.processes):
            if process in (machines.RUNNING, machines.ENDING):
                outcome = "succeeded" if process == machines.RUNNING else "cancelled"
                yield from self.ends(world, run, outcome)
            elif process == machines.STRAY:
                yield self.stray_ends(world, run)
        if world.left.crashes:
            crashed = spend(world, "crashes")
            if world.device.is_up:
                yield Move(("the agent is killed",), down(crashed, killed(world.device)))
            yield Move(("the power fails",), down(crashed, powerless(world.device)))
        if world.left.rollbacks:
            yield from self._rolls_back(world)

    def ends(self, world: World, run: int, outcome: str) -> Iterator[Move]:
        said = ("the process of run", run, f"ends: {outcome}")
        if world.device.is_up:
            yield from self._steps(world, "exits", (run, outcome), said)
            return
        ended = with_process(world.device, run, machines.EXITED + outcome)
        yield Move(said, world._replace(device=ended))

    def stray_ends(self, world: World, run: int) -> Move:
        ended = with_process(world.device, run, machines.NONE)
        return Move(("the stray process of run", run, "ends"), world._replace(device=ended))

    def _cloned(self, world: World) -> Move:
        file = world.device.file[: world.device.synced]
        other = self._device.begin()._replace(file=file, synced=len(file), is_up=False)
        copied = spend(world, "clones")._replace(other=other)
        return Move(("the agent's state directory is copied to a second machine",), copied)

    def _rolls_back(self, world: World) -> Iterator[Move]:
        device = world.device
        if world.snapshot is None:
            taken = world._replace(snapshot=device.file[: device.synced])
            yield Move(("the agent's state directory is copied",), taken)
        elif not device.is_up:
            back = device._replace(file=world.snapshot, synced=len(world.snapshot))
            after = spend(world, "rollbacks")._replace(device=back)
            yield Move(("the agent's state directory is rolled back to its copy",), after)


_REPEATS = ("poll", "repeat")


_WORDS = {
    "recall": "recall", "welcome": "welcome", "grant": "grant", "go": "go", "stop": "stopped",
    "ack": "ack", "cancel": "cancel",
}  # fmt: skip


def _argument(frame: Frame) -> Any:
    if frame.kind in ("recall", "welcome"):
        return frame.what
    return (frame.run, frame.what) if frame.kind in ("stop", "ack") else frame.run
