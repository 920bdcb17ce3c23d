"""Every move from a state to the next: both halves, the network between them, and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from tests.protocol_model import machine as machines
from tests.protocol_model.crashes import DeviceState, Step, killed, powerless
from tests.protocol_model.device import Device
from tests.protocol_model.frames import Frame
from tests.protocol_model.server import UNSTARTED, Answer, DeviceRow, Row, Server
from tests.protocol_model.states import TO_DEVICE, Bounds, Move, Truth, World


class Model:
    def __init__(self, device: Device, server: Server, number_of_runs: int = 1) -> None:
        self._device = device
        self._server = server
        self._count = number_of_runs

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
        yield from self._deliveries(world)
        yield from self.agent(world)
        yield from self._machine(world)
        yield from self.reconcile(world)
        yield from self._people(world)
        yield from self._restores(world)

    # Frames arrive, once or twice, in any order or never.

    def _deliveries(self, world: World) -> Iterator[Move]:
        for frame in world.frames:
            without = world._replace(frames=world.frames - {frame})
            yield from self.arrives(without, frame)
            if world.left.doubles and frame.kind not in ("settle", "asking", "hello"):
                for move in self.arrives(_spend(world, "doubles"), frame):
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
            spent = _spend(world, "people")
            yield from self._steps(
                spent, "grant_refused", what, ("the device refuses the", frame), crashes=False
            )
        if frame.kind in ("go", "ack") and world.left.full:
            spent = _spend(world, "full")
            yield from self._steps(
                spent, word + "_on_full_disk", what, ("on a full disk, the device gets", frame),
                crashes=False,
            )  # fmt: skip

    def _at_server(self, world: World, frame: Frame) -> Iterator[Move]:
        handle = getattr(self, f"_on_{frame.kind}")
        yield from handle(world, frame, ("the server gets", frame))

    # The server's side.

    def _ask(self, world: World, run: int, word: str, *what: Any) -> tuple[World, Answer]:
        answer = self._server.step(
            world.device_row, world.rows[run], word, *what, late=world.is_late
        )
        rows = (*world.rows[:run], answer.row, *world.rows[run + 1 :])
        return world._replace(device_row=answer.device, rows=rows), answer

    def _on_hello(self, world: World, frame: Frame, said: tuple[Any, ...]) -> Iterator[Move]:
        after, answer = self._ask(world, 0, "admit", frame.session)
        if answer.said:
            # The session is written first; what the journal says is settled after that.
            yield Move(said, _sent(after, frame._replace(kind="settle")))

    def _on_settle(self, world: World, frame: Frame, said: tuple[Any, ...]) -> Iterator[Move]:
        entries = {run: (state, outcome) for run, state, outcome in frame.what}
        if not world.device_row.in_recovery:
            yield self._settled(world, frame.session, "hello", entries, said, entries)
            return
        asked = []
        for run in range(self._count):
            world, answer = self._ask(world, run, "recall", frame.session)
            asked += [run] if answer.said else []
        if not asked:
            yield self._settled(world, frame.session, "recalled", entries, said, entries)
            return
        waiting = Frame("asking", frame.session, -1, (frame.what, tuple(asked)))
        recall = Frame("recall", frame.session, -1, tuple(asked))
        yield Move(said, _sent(world, waiting, recall))

    def _on_asking(self, world: World, frame: Frame, said: tuple[Any, ...]) -> Iterator[Move]:
        yield from ()

    def _on_recalled(self, world: World, frame: Frame, said: tuple[Any, ...]) -> Iterator[Move]:
        for waiting in world.frames:
            if waiting.kind == "asking" and waiting.session == frame.session:
                hello, asked = waiting.what
                listed = {run: (state, outcome) for run, state, outcome in hello}
                told = {run: (state, outcome) for run, state, outcome in frame.what}
                known = listed | told
                after = world._replace(frames=world.frames - {waiting})
                yield self._settled(
                    after, frame.session, "recalled", known, said, listed, frozenset(asked)
                )

    def _settled(
        self,
        world: World,
        session: int,
        word: str,
        known: dict[int, tuple[str, str]],
        said: tuple[Any, ...],
        listed: dict[int, tuple[str, str]],
        asked: frozenset[int] = frozenset(),
    ) -> Move:
        verdicts: list[tuple[int, str]] = []
        refused, marked = "", world.device_row
        for run in range(self._count):
            # Each run is settled by itself, as long as the mark stands.
            world = world._replace(device_row=marked)
            what = (run in asked, known.get(run)) if word == "recalled" else (known.get(run),)
            world, answer = self._ask(world, run, word, session, *what)
            refused = refused or (word if answer.is_refused else "")
            words = answer.said or ("keep",)
            verdicts += [(run, one) for one in words if run in listed]
        welcome = Frame("welcome", session, -1, tuple(verdicts))
        return Move((*said, "and settles it"), _sent(world, welcome), refused=refused)

    def _on_start(self, world: World, frame: Frame, said: tuple[Any, ...]) -> Iterator[Move]:
        after, answer = self._ask(world, frame.run, "start", frame.session)
        if answer.said == "go":
            began = after.rows[frame.run].status != world.rows[frame.run].status
            gos = (frame.run,) if began else ()
            yield Move(said, _sent(after, frame._replace(kind="go")), gos)
        else:
            stop = frame._replace(kind="stop", what=answer.said)
            yield Move(said, _sent(after, stop), refused=_refused(answer, "start"))

    def _on_poll(self, world: World, frame: Frame, said: tuple[Any, ...]) -> Iterator[Move]:
        holding, is_ready = frame.what
        held = dict(holding)
        world, _ = self._ask(world, 0, "set_ready", frame.session, is_ready)
        frames = []
        for run in range(self._count):
            world, answer = self._ask(world, run, "poll", frame.session, held.get(run, ""))
            grants, gos = answer.said
            frames += [Frame("grant", frame.session, run)] if grants else []
            frames += [Frame("go", frame.session, run)] if gos else []
        yield self._claimed(_sent(world, *frames), frame.session, said)

    def _claimed(self, world: World, session: int, said: tuple[Any, ...]) -> Move:
        frames, refused = [], ""
        for run in range(self._count):
            world, answer = self._ask(world, run, "claim", session)
            frames += [Frame("grant", session, run)] if answer.said else []
            refused = refused or _refused(answer, "claim")
        return Move(said, _sent(world, *frames), refused=refused)

    def _on_giveback(self, world: World, frame: Frame, said: tuple[Any, ...]) -> Iterator[Move]:
        yield self._acked(world, frame, said, "giveback", frame.session)

    def _on_reject(self, world: World, frame: Frame, said: tuple[Any, ...]) -> Iterator[Move]:
        yield self._acked(world, frame, said, "reject")

    def _on_result(self, world: World, frame: Frame, said: tuple[Any, ...]) -> Iterator[Move]:
        yield self._acked(world, frame, said, "result", frame.what)

    def _acked(
        self, world: World, frame: Frame, said: tuple[Any, ...], word: str, *what: Any
    ) -> Move:
        after, answer = self._ask(world, frame.run, word, *what)
        # Whatever session it came in, the answer goes to the device's connection of now.
        ack = Frame("ack", world.device.session, frame.run, answer.said)
        frames = () if answer.is_refused else (ack,)
        return Move(said, _sent(after, *frames), refused=_refused(answer, word))

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
                yield self.cut_off(_spend(world, "cuts"))
        if world.left.people and device.is_up and device.is_open and not device.is_stopping:
            spent = _spend(world, "people")
            yield from self._steps(spent, "stop", None, ("the agent is asked to stop",))

    def stops(self, world: World) -> Move:
        """The agent ends as it was asked to."""
        return Move(("the agent has ended",), _down(world, killed(world.device)))

    def cut_off(self, world: World) -> Move:
        step = self._device.step(world.device, "cut_off", None, world.is_late)
        return Move(("the connection is cut",), _after(world, step))

    def _steps(
        self, world: World, word: str, what: Any, said: tuple[Any, ...], *, crashes: bool = True
    ) -> Iterator[Move]:
        """The step, and every way in which a crash could cut it short."""
        step = self._device.step(world.device, word, what, world.is_late)
        yield Move(said, _after(world, step))
        if crashes and world.left.crashes:
            crashed = _spend(world, "crashes")
            for cut in self._device.cuts(world.device, word, what, world.is_late):
                yield Move((*said, "-", cut.how), _after(crashed, cut.step))

    # The machine it is on.

    def _machine(self, world: World) -> Iterator[Move]:
        for run, process in enumerate(world.device.processes):
            if process in (machines.RUNNING, machines.ENDING):
                outcome = "succeeded" if process == machines.RUNNING else "cancelled"
                yield from self.ends(world, run, outcome)
            elif process == machines.STRAY:
                yield self.stray_ends(world, run)
        if world.left.crashes:
            crashed = _spend(world, "crashes")
            if world.device.is_up:
                yield Move(("the agent is killed",), _down(crashed, killed(world.device)))
            yield Move(("the power fails",), _down(crashed, powerless(world.device)))
        if world.left.rollbacks:
            yield from self._rolls_back(world)

    def ends(self, world: World, run: int, outcome: str) -> Iterator[Move]:
        said = ("the process of run", run, "ends: {outcome}")
        if world.device.is_up:
            yield from self._steps(world, "exits", (run, outcome), said)
            return
        ended = _with_process(world.device, run, machines.EXITED + outcome)
        yield Move(said, world._replace(device=ended))

    def stray_ends(self, world: World, run: int) -> Move:
        ended = _with_process(world.device, run, machines.NONE)
        return Move(("the stray process of run", run, "ends"), world._replace(device=ended))

    def _rolls_back(self, world: World) -> Iterator[Move]:
        device = world.device
        if world.snapshot is None:
            taken = world._replace(snapshot=device.file[: device.synced])
            yield Move(("the agent's state directory is copied",), taken)
        elif not device.is_up:
            back = device._replace(file=world.snapshot, synced=len(world.snapshot))
            after = _spend(world, "rollbacks")._replace(device=back)
            yield Move(("the agent's state directory is rolled back to its copy",), after)

    # What the server does by itself, and at people's wish.

    def reconcile(self, world: World) -> Iterator[Move]:
        if world.left.delays and not world.is_late:
            late = _spend(world, "delays")._replace(is_late=True)
            yield Move(("the runs' last permitted start passes",), late)
        for session in filter(partial(_is_settled, world), range(1, world.sessions + 1)):
            claimed = self._claimed(world, session, ("the hub claims for session", session))
            if claimed.world != world or claimed.refused:
                yield claimed
        for run, row in enumerate(world.rows):
            if world.is_late and row.status in UNSTARTED:
                yield self._verb(world, run, "expire", ("run", run, "is looked at for its expiry"))
            if row.status == "claimed":
                yield self._verb(world, run, "release_claims", ("the claim of run", run, "is old"))
            if row.status == "running" and row.is_cancel_asked and world.device.session:
                cancel = Frame("cancel", world.device.session, run)
                _, answer = self._ask(world, run, "cancels")
                if answer.said:
                    yield Move(("the server asks to cancel run", run), _sent(world, cancel))

    def _people(self, world: World) -> Iterator[Move]:
        if not world.left.people:
            return
        spent = _spend(world, "people")
        for run, row in enumerate(world.rows):
            yield self._verb(spent, run, "cancel", ("somebody cancels run", run))
            if row.status == "running":
                yield self._verb(
                    spent, run, "lose", ("a day has passed over run", run, "'s deadline")
                )
        if not world.device_row.is_revoked:
            yield self._on_all(spent, "revoke", ("somebody revokes the device",))

    def _restores(self, world: World) -> Iterator[Move]:
        if world.left.restores and world.backup is None:
            yield Move(
                ("a backup is taken",), world._replace(backup=(world.device_row, world.rows))
            )
        elif world.left.restores and world.backup is not None:
            device_row, rows = world.backup
            older = _spend(world, "restores")._replace(device_row=device_row, rows=rows)
            yield self._on_all(older, "restored", ("the backup is restored",))
        if world.device_row.in_recovery and world.left.people:
            spent = _spend(world, "people")
            yield self._on_all(spent, "give_up", ("somebody ends recovery mode",))

    def _verb(self, world: World, run: int, word: str, said: tuple[Any, ...]) -> Move:
        after, answer = self._ask(world, run, word)
        return Move(said, after, refused=_refused(answer, word))

    def _on_all(self, world: World, word: str, said: tuple[Any, ...]) -> Move:
        device_row, refused = world.device_row, ""
        for run in range(self._count):
            world, answer = self._ask(world._replace(device_row=device_row), run, word)
            refused = refused or _refused(answer, word)
        return Move(said, world, refused=refused)


_REPEATS = ("poll", "repeat")


def _is_settled(world: World, session: int) -> bool:
    """Whether the hub, as far as it can know, has welcomed this session and may claim for it."""
    kinds = {frame.kind for frame in world.frames if frame.session == session}
    if session == world.device.session:
        return world.device.is_open or "welcome" in kinds
    return not kinds & {"hello", "settle", "asking"}


_WORDS = {
    "recall": "recall", "welcome": "welcome", "grant": "grant", "go": "go", "stop": "stopped",
    "ack": "ack", "cancel": "cancel",
}  # fmt: skip


def _argument(frame: Frame) -> Any:
    if frame.kind in ("recall", "welcome"):
        return frame.what
    return (frame.run, frame.what) if frame.kind in ("stop", "ack") else frame.run


def _after(world: World, step: Step) -> World:
    device = step.state
    if step.has_failed:
        device = killed(device)
    truths = list(world.truths)
    for run, fact in step.facts:
        truths[run] = _grown(truths[run], fact)
    moved = world._replace(device=device, truths=tuple(truths))
    if device.session != world.device.session:
        moved = _hung_up(moved, world.device.session)
    return _sent(moved, *step.frames)


def _grown(truth: Truth, fact: str) -> Truth:
    if fact == "started":
        return truth._replace(starts=min(truth.starts + 1, 2))
    return truth._replace(outcomes=truth.outcomes | {fact.removeprefix("journaled:")})


def _down(world: World, device: DeviceState) -> World:
    return _hung_up(world._replace(device=device), world.device.session)


def _hung_up(world: World, session: int) -> World:
    """What was on its way to the device is gone; what it had sent may still arrive."""
    kept = (f for f in world.frames if f.kind not in TO_DEVICE or f.session != session)
    return world._replace(frames=frozenset(kept))


def _sent(world: World, *frames: Frame) -> World:
    """A frame for a connection that is no more is lost."""
    frames_ = world.frames
    for frame in frames:
        if frame.kind == "poll":
            # A poll that is overtaken by the next is as good as lost.
            frames_ -= {f for f in frames_ if f.kind == "poll" and f.session == frame.session}
        if frame.kind not in TO_DEVICE or frame.session == world.device.session != 0:
            frames_ |= {frame}
    return world._replace(frames=frames_)


def _spend(world: World, bound: str) -> World:
    left = world.left._replace(**{bound: getattr(world.left, bound) - 1})
    return world._replace(left=left)


def _with_process(device: DeviceState, run: int, process: str) -> DeviceState:
    processes = (*device.processes[:run], process, *device.processes[run + 1 :])
    return device._replace(processes=processes)


def _refused(answer: Answer, word: str) -> str:
    return word if answer.is_refused else ""
