"""What the server does: with frames that arrive, by itself, and at people's wish."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from tests.protocol_model.changes import sent, spend
from tests.protocol_model.frames import Frame
from tests.protocol_model.server import UNSTARTED, Answer, Answering
from tests.protocol_model.states import Move, World, machine_of, newest_session


class Serving:
    def __init__(self, server: Answering, number_of_runs: int) -> None:
        self._server = server
        self._count = number_of_runs

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
            yield Move(said, sent(after, frame._replace(kind="settle")))

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
        yield Move(said, sent(world, waiting, recall))

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
        return Move((*said, "and settles it"), sent(world, welcome), refused=refused)

    def _on_start(self, world: World, frame: Frame, said: tuple[Any, ...]) -> Iterator[Move]:
        after, answer = self._ask(world, frame.run, "start", frame.session)
        if answer.said == "go":
            began = after.rows[frame.run].status != world.rows[frame.run].status
            gos = (frame.run,) if began else ()
            yield Move(said, sent(after, frame._replace(kind="go")), gos)
        else:
            stop = frame._replace(kind="stop", what=answer.said)
            yield Move(said, sent(after, stop), refused=_refused(answer, "start"))

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
        yield self._claimed(sent(world, *frames), frame.session, said)

    def _claimed(self, world: World, session: int, said: tuple[Any, ...]) -> Move:
        frames, refused = [], ""
        for run in range(self._count):
            world, answer = self._ask(world, run, "claim", session)
            frames += [Frame("grant", session, run)] if answer.said else []
            refused = refused or _refused(answer, "claim")
        return Move(said, sent(world, *frames), refused=refused)

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
        ack = Frame("ack", newest_session(world), frame.run, answer.said)
        frames = () if answer.is_refused else (ack,)
        return Move(said, sent(after, *frames), refused=_refused(answer, word))

    # What the server does by itself, and at people's wish.

    def reconcile(self, world: World) -> Iterator[Move]:
        if world.left.delays and not world.is_late:
            late = spend(world, "delays")._replace(is_late=True)
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
            if row.status == "running" and row.is_cancel_asked and newest_session(world):
                cancel = Frame("cancel", newest_session(world), run)
                _, answer = self._ask(world, run, "cancels")
                if answer.said:
                    yield Move(("the server asks to cancel run", run), sent(world, cancel))

    def _people(self, world: World) -> Iterator[Move]:
        if not world.left.people:
            return
        spent = spend(world, "people")
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
            older = spend(world, "restores")._replace(device_row=device_row, rows=rows)
            yield self._on_all(older, "restored", ("the backup is restored",))
        if world.device_row.in_recovery and world.left.people:
            spent = spend(world, "people")
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


def _is_settled(world: World, session: int) -> bool:
    """Whether the hub, as far as it can know, has welcomed this session and may claim for it."""
    kinds = {frame.kind for frame in world.frames if frame.session == session}
    if machine := machine_of(world, session):
        return machine.is_open or "welcome" in kinds
    return not kinds & {"hello", "settle", "asking"}


def _refused(answer: Answer, word: str) -> str:
    return word if answer.is_refused else ""
