"""What a step, a crash or a frame changes in the state of everything."""

from __future__ import annotations

from tests.protocol_model.crashes import DeviceState, Step, killed
from tests.protocol_model.frames import Frame
from tests.protocol_model.states import TO_DEVICE, Truth, World, machine_of


def after(world: World, step: Step) -> World:
    device = step.state
    if step.has_failed:
        device = killed(device)
    truths = list(world.truths)
    for run, fact in step.facts:
        truths[run] = grown(truths[run], fact)
    moved = world._replace(device=device, truths=tuple(truths))
    if device.session != world.device.session:
        moved = hung_up(moved, world.device.session)
    return sent(moved, *step.frames)


def grown(truth: Truth, fact: str) -> Truth:
    if fact == "started":
        return truth._replace(starts=min(truth.starts + 1, 2))
    return truth._replace(outcomes=truth.outcomes | {fact.removeprefix("journaled:")})


def down(world: World, device: DeviceState) -> World:
    return hung_up(world._replace(device=device), world.device.session)


def hung_up(world: World, session: int) -> World:
    """What was on its way to the device is gone; what it had sent may still arrive."""
    kept = (f for f in world.frames if f.kind not in TO_DEVICE or f.session != session)
    return world._replace(frames=frozenset(kept))


def sent(world: World, *frames: Frame) -> World:
    """A frame for a connection that is no more is lost."""
    frames_ = world.frames
    for frame in frames:
        if frame.kind == "poll":
            # A poll that is overtaken by the next is as good as lost.
            frames_ -= {f for f in frames_ if f.kind == "poll" and f.session == frame.session}
        if frame.kind not in TO_DEVICE or machine_of(world, frame.session):
            frames_ |= {frame}
    return world._replace(frames=frames_)


def spend(world: World, bound: str) -> World:
    left = world.left._replace(**{bound: getattr(world.left, bound) - 1})
    return world._replace(left=left)


def with_process(device: DeviceState, run: int, process: str) -> DeviceState:
    processes = (*device.processes[:run], process, *device.processes[run + 1 :])
    return device._replace(processes=processes)
