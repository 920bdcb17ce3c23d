"""The browsers' socket: what is heard there, by whom, and when it is closed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from channels_redis.core import RedisChannelLayer
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.test import Client

from devices.hub.threads import Unavailable
from devices.hub.wakes import hear, listen
from devices.tests.conftest import in_thread
from scheduling import board, consumers, hints, live, schedules
from scheduling.models import ScheduledTask

pytestmark = pytest.mark.django_db(transaction=True)


class Page:
    """A browser's end of the socket."""

    def __init__(self, line: ApplicationCommunicator, client: Client) -> None:
        self._line, self.client = line, client

    async def hears(self) -> dict[str, Any]:
        message = await self._line.receive_output(60)
        assert message["type"] == "websocket.send", message
        heard: dict[str, Any] = json.loads(message["text"])
        return heard

    async def hears_nothing(self) -> bool:
        return bool(await self._line.receive_nothing(3 * consumers.PAUSE_SECONDS))

    async def is_closed_with(self) -> int:
        message = await self._line.receive_output(60)
        assert message["type"] == "websocket.close", message
        return int(message["code"])


@pytest.fixture
async def notices() -> AsyncIterator[board.Board]:
    made = board.Board()
    yield made
    await made.threads.close()


@asynccontextmanager
async def page_of(
    user: User | None, notices: board.Board, *, is_heard: bool = True
) -> AsyncIterator[Page]:
    """An open page; everything that is said from now on reaches its socket, where `is_heard`."""
    client = Client()
    if user is not None:
        await in_thread(lambda: client.force_login(user))
    name = django_settings.SESSION_COOKIE_NAME
    cookie = f"{name}={client.cookies[name].value}" if user is not None else ""
    headers = [(b"origin", b"http://localhost:8000"), (b"cookie", cookie.encode())]
    scope = {"type": "websocket", "path": consumers.PATH, "headers": headers}
    line = ApplicationCommunicator(consumers.LiveConsumer.as_asgi(board=notices), scope)
    await line.send_input({"type": "websocket.connect"})
    assert (await line.receive_output(60))["type"] == "websocket.accept"
    if is_heard:
        await _joined(notices)
    yield Page(line, client)
    await line.send_input({"type": "websocket.disconnect", "code": 1001})
    await line.wait(60)


async def _joined(notices: board.Board) -> None:
    async with asyncio.timeout(60):
        await notices.is_listening.wait()


async def test_whoever_is_not_signed_in_is_told_so_and_closed(notices: board.Board) -> None:
    async with page_of(None, notices, is_heard=False) as page:
        assert await page.is_closed_with() == 4401


async def test_the_owner_hears_of_a_change_and_of_nothing_but_the_change(
    notices: board.Board, operator: User, task: ScheduledTask
) -> None:
    async with page_of(operator, notices) as page:
        await in_thread(lambda: schedules.pause(task, operator))
        heard = await page.hears()
        assert set(heard) == {"object", "id", "version"}
        assert (heard["object"], heard["id"]) == ("task", str(task.pk))


async def test_an_outsider_hears_nothing(
    notices: board.Board, operator: User, outsider: User, task: ScheduledTask
) -> None:
    async with page_of(outsider, notices) as page:
        await in_thread(lambda: schedules.pause(task, operator))
        assert await page.hears_nothing()


async def test_an_administrator_hears_of_a_deletion(
    notices: board.Board, admin: User, operator: User, task: ScheduledTask
) -> None:
    pk = str(task.pk)
    async with page_of(admin, notices) as page:
        await in_thread(lambda: schedules.delete(task, operator))
        assert (await page.hears())["id"] == pk


async def test_the_owner_hears_of_a_deletion_by_somebody_else_and_no_other(
    notices: board.Board, admin: User, operator: User, outsider: User, task: ScheduledTask
) -> None:
    pk = str(task.pk)
    async with page_of(operator, notices) as page, page_of(outsider, notices) as other:
        await in_thread(lambda: schedules.delete(task, admin))
        assert (await page.hears())["id"] == pk
        assert await other.hears_nothing()


async def test_who_loses_a_task_to_another_hears_of_it(
    notices: board.Board, admin: User, operator: User, task: ScheduledTask
) -> None:
    given = {"user_id": admin.pk}
    async with page_of(operator, notices) as page:
        await in_thread(lambda: schedules.update(task, admin, given, partial=True))
        assert (await page.hears())["id"] == str(task.pk)


def test_who_saw_it_before_is_kept_when_it_changes_again_before_it_is_told() -> None:
    listener = board.Listener("")
    listener.add("group", ["one"], board.Change(1, frozenset({7})))
    listener.add("group", ["one"], board.Change(2, frozenset()))
    assert listener.take() == {("group", "one"): board.Change(2, frozenset({7}))}


async def test_many_changes_of_one_object_are_told_as_one(
    notices: board.Board, operator: User, task: ScheduledTask
) -> None:
    async with page_of(operator, notices) as page:

        def change_often() -> None:
            for _ in range(20):
                live.changed("task", [task.pk])

        await in_thread(change_often)
        first = await page.hears()
        rest = [] if await page.hears_nothing() else [await page.hears()]
        assert len(rest) <= 1
        assert all(one["version"] > first["version"] for one in rest)


async def test_what_no_message_should_hold_is_told_to_nobody(
    notices: board.Board, admin: User
) -> None:
    async with page_of(admin, notices) as page:
        await in_thread(lambda: live.changed("password", ["01a20fe4-9f03-764d-a30c-ff695756cfc2"]))
        await in_thread(lambda: live.changed("task", ["no id"]))
        assert await page.hears_nothing()


async def test_signing_out_closes_the_socket_of_that_session_alone(
    notices: board.Board, operator: User, task: ScheduledTask
) -> None:
    async with page_of(operator, notices) as here, page_of(operator, notices) as there:
        await in_thread(lambda: here.client.post("/accounts/logout/"))
        assert await here.is_closed_with() == 4401
        await in_thread(lambda: schedules.pause(task, operator))
        assert (await there.hears())["object"] == "task"


async def test_a_session_that_ended_without_a_word_is_noticed(
    notices: board.Board, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "CHECK_SESSION_SECONDS", 0.1)
    async with page_of(operator, notices) as page:
        await in_thread(lambda: User.objects.update(is_active=False))
        assert await page.is_closed_with() == 4401


async def test_a_database_that_is_away_closes_nothing(
    notices: board.Board, operator: User, task: ScheduledTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with page_of(operator, notices) as page:
        await in_thread(lambda: live.changed("task", [task.pk]))
        await page.hears()

        async def away(work: Any) -> Any:
            raise Unavailable("gone")

        with monkeypatch.context() as patch:
            patch.setattr(notices.threads, "call", away)
            await in_thread(lambda: live.changed("task", [task.pk]))
            assert await page.hears_nothing()
        await in_thread(lambda: live.changed("task", [task.pk]))
        assert (await page.hears())["id"] == str(task.pk)


async def test_a_channel_layer_that_is_away_closes_nothing_and_is_found_again(
    notices: board.Board,
    operator: User,
    task: ScheduledTask,
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hints, "SILENCE_SECONDS", 0.0)
    there = settings.CHANNEL_LAYERS
    nowhere = {"hosts": [f"unix://{tmp_path}/nobody.sock"]}
    settings.CHANNEL_LAYERS = {"default": {**there["default"], "CONFIG": nowhere}}
    async with page_of(operator, notices, is_heard=False) as page:
        await in_thread(lambda: live.changed("task", [task.pk]))
        assert await page.hears_nothing()
        settings.CHANNEL_LAYERS = there
        assert await page.hears() == consumers.MISSED
        await in_thread(lambda: live.changed("task", [task.pk]))
        assert (await page.hears())["object"] == "task"


async def test_who_was_cut_off_from_the_layer_for_a_while_tells_its_pages_to_look_again(
    notices: board.Board, operator: User, task: ScheduledTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_cut = asyncio.Event()

    async def cut_off(*arguments: Any) -> Any:
        monkeypatch.undo()
        is_cut.set()
        raise ConnectionError("Redis was started again, and knows no group any more")

    async with page_of(operator, notices) as page, page_of(operator, notices) as other:
        monkeypatch.setattr(RedisChannelLayer, "receive", cut_off)
        await in_thread(lambda: live.changed("task", [task.pk]))
        for one in (page, other):
            assert (await one.hears())["id"] == str(task.pk)
        await is_cut.wait()
        await in_thread(lambda: schedules.pause(task, operator))
        for one in (page, other):
            assert await one.hears() == consumers.MISSED


async def test_a_line_opens_once_it_hears_and_misses_nothing_from_then_on(
    notices: board.Board, operator: User, task: ScheduledTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_asked, may_listen = asyncio.Event(), asyncio.Event()

    async def hear_later(*arguments: Any, **options: Any) -> None:
        is_asked.set()
        await may_listen.wait()
        await hear(*arguments, **options)

    monkeypatch.setattr(board, "hear", hear_later)
    monkeypatch.setattr(board, "JOIN_SECONDS", 60.0)
    opening = asyncio.create_task(_first_change_on_a_new_line(operator, notices, task))
    await is_asked.wait()
    assert not opening.done()
    may_listen.set()
    assert await opening == str(task.pk)


async def _first_change_on_a_new_line(
    user: User, notices: board.Board, task: ScheduledTask
) -> object:
    async with page_of(user, notices, is_heard=False) as page:
        await in_thread(lambda: schedules.pause(task, user))
        return (await page.hears())["id"]


@pytest.mark.parametrize("origin", [b"https://elsewhere.example", b"null", None])
async def test_a_page_of_another_site_gets_no_socket(origin: bytes | None) -> None:
    headers = [(b"host", b"localhost"), *([(b"origin", origin)] if origin else [])]
    scope = {"type": "websocket", "path": consumers.PATH, "headers": headers}
    line = ApplicationCommunicator(consumers.LiveConsumer.as_asgi(board=board.Board()), scope)
    await line.send_input({"type": "websocket.connect"})
    assert (await line.receive_output(60))["type"] == "websocket.close"
    await line.wait(60)


async def test_the_hub_of_the_same_process_listens_beside_it(
    notices: board.Board, operator: User, task: ScheduledTask
) -> None:
    woken, offered = asyncio.Event(), asyncio.Event()
    listening = asyncio.create_task(listen(wake=woken.set, offer=offered.set))
    async with asyncio.timeout(60):
        await woken.wait()
    async with page_of(operator, notices) as page:
        await in_thread(lambda: live.changed("task", [task.pk]))
        assert (await page.hears())["id"] == str(task.pk)
        woken.clear()
        await in_thread(hints.offer_runs)
        await in_thread(hints.wake_hubs)
        async with asyncio.timeout(60):
            await woken.wait()
            await offered.wait()
    listening.cancel()
    await asyncio.wait({listening})
