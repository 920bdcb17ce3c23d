"""`?wait=` on output, through a real server: held until there is more, without a thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import pytest
import uvicorn
from django.contrib.auth.models import User
from django.core.asgi import get_asgi_application
from django.db import connections
from django.test import Client

from accounts import tokens
from accounts.api.asgi import Message, Scope
from devices.tests.conftest import in_thread
from scheduling.api.held_output import ASKED_AT_ONCE, HeldOutput
from scheduling.models import DeviceRun
from scheduling.tests import factories
from scheduling.tests.api.conftest import address

pytestmark = pytest.mark.django_db(transaction=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(application: Any) -> AsyncIterator[str]:
    config = uvicorn.Config(application, port=0, lifespan="off", log_level="warning")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await task


@pytest.fixture(autouse=True)
def no_connection_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a web process, whose pool takes each connection back at once."""
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)


@pytest.fixture
def key(operator: User) -> str:
    return tokens.issue(operator, "test")[1]


@pytest.fixture
async def held() -> HeldOutput:
    return HeldOutput(get_asgi_application(), most_held=2)


@pytest.fixture
async def client(held: HeldOutput, key: str, run: DeviceRun) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        serving(held) as base,
        httpx.AsyncClient(base_url=base, headers=headers, timeout=90) as opened,
    ):
        yield opened


def output(run: DeviceRun, **parameters: Any) -> str:
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    return address(run, f"output?{query}")


async def test_it_is_answered_as_soon_as_there_is_more(
    client: httpx.AsyncClient, held: HeldOutput, run: DeviceRun
) -> None:
    asked = time.monotonic()
    asking = asyncio.create_task(client.get(output(run, wait=25)))
    await until(lambda: bool(held._watch._waiters))
    assert not asking.done()
    await in_thread(lambda: factories.write_output(run, b"hello\n"))
    answer = await asking
    assert time.monotonic() - asked < 25
    assert answer.json()["text"] == "hello\n"


async def test_it_is_answered_when_the_run_ends(
    client: httpx.AsyncClient, held: HeldOutput, run: DeviceRun
) -> None:
    asking = asyncio.create_task(client.get(output(run, wait=25)))
    await until(lambda: bool(held._watch._waiters))
    runs = DeviceRun.objects.filter(pk=run.pk)
    await in_thread(lambda: runs.move("succeeded", finished_at=run.started_at))
    assert (await asking).json()["finished"] is True


async def test_what_is_there_already_is_not_held_back(
    client: httpx.AsyncClient, run: DeviceRun
) -> None:
    await in_thread(lambda: factories.write_output(run, b"hello\n"))
    started = time.monotonic()
    assert (await client.get(output(run, wait=25))).json()["next_offset"] == 6
    assert time.monotonic() - started < 25


async def test_with_nothing_new_it_is_answered_at_the_end_of_its_time(
    client: httpx.AsyncClient, run: DeviceRun
) -> None:
    started = time.monotonic()
    answer = await client.get(output(run, wait=1))
    assert time.monotonic() - started >= 1
    assert (answer.json()["text"], answer.json()["finished"]) == ("", False)


async def test_text_plain_is_held_as_well(
    client: httpx.AsyncClient, held: HeldOutput, run: DeviceRun
) -> None:
    plain = {"Accept": "text/plain"}
    asking = asyncio.create_task(client.get(output(run, wait=25), headers=plain))
    await until(lambda: bool(held._watch._waiters))
    await in_thread(lambda: factories.write_output(run, b"\xff\n"))
    assert (await asking).content == b"\xff\n"


async def test_who_may_not_see_it_is_not_held_at_all(
    client: httpx.AsyncClient, held: HeldOutput, run: DeviceRun, outsider: User
) -> None:
    _row, theirs = await in_thread(lambda: tokens.issue(outsider, "test"))
    for headers, status in (
        ({"Authorization": f"Bearer {theirs}"}, 404),
        ({"Authorization": "Bearer dpx_wrong"}, 401),
        ({"Authorization": ""}, 401),
    ):
        answer = await client.get(output(run, wait=25), headers=headers)
        assert answer.status_code == status
    assert not held._watch._waiters


async def test_a_browsers_session_is_held_like_a_token(
    client: httpx.AsyncClient, run: DeviceRun, operator: User
) -> None:
    browser = Client()
    await in_thread(lambda: browser.force_login(operator))
    session = browser.cookies["sessionid"].value
    answer = await client.get(
        output(run, wait=1), headers={"Authorization": "", "Cookie": f"sessionid={session}"}
    )
    assert answer.status_code == 200


async def test_who_loses_the_right_while_waiting_gets_no_output(
    client: httpx.AsyncClient, held: HeldOutput, run: DeviceRun, operator: User
) -> None:
    asking = asyncio.create_task(client.get(output(run, wait=25)))
    await until(lambda: bool(held._watch._waiters))
    await in_thread(lambda: User.objects.filter(pk=operator.pk).update(is_active=False))
    await in_thread(lambda: factories.write_output(run, b"secret\n"))
    assert (await asking).status_code == 401


async def test_too_many_are_told_to_come_back(
    client: httpx.AsyncClient, held: HeldOutput, run: DeviceRun
) -> None:
    waiting = [asyncio.create_task(client.get(output(run, wait=25))) for _ in range(2)]
    await until(lambda: len(held._watch._waiters) == 2)
    refused = await client.get(output(run, wait=25))
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert (await client.get(output(run))).status_code == 200
    await in_thread(lambda: factories.write_output(run, b"hello\n"))
    assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [200, 200]


async def test_who_leaves_is_forgotten(
    client: httpx.AsyncClient, held: HeldOutput, run: DeviceRun
) -> None:
    asking = asyncio.create_task(client.get(output(run, wait=25)))
    await until(lambda: bool(held._watch._waiters))
    asking.cancel()
    await until(lambda: not held._watch._waiters and held._held == 0)


class CountedAsking(HeldOutput):
    wishing = 0
    """How many have come to the point where they ask Django, whether they are let in or not."""

    async def _ask(self, scope: Scope) -> list[Message]:
        self.wishing += 1
        return await super()._ask(scope)


async def test_many_who_watch_one_run_ask_a_few_at_a_time(run: DeviceRun) -> None:
    asked = 0
    answered = asyncio.Event()

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        nonlocal asked
        asked += 1
        await answered.wait()
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    held = CountedAsking(inner)
    transport = httpx.ASGITransport(held)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as many:
        asking = [asyncio.create_task(many.get(output(run, wait=25))) for _ in range(40)]
        await until(lambda: held.wishing == 40)
        assert asked == ASKED_AT_ONCE
        answered.set()
        answers = await asyncio.gather(*asking)
    assert [answer.status_code for answer in answers] == [404] * 40


async def test_a_wrong_wait_is_refused_by_the_view(
    client: httpx.AsyncClient, run: DeviceRun
) -> None:
    answer = await client.get(output(run, wait=26))
    assert (answer.status_code, list(answer.json())) == (400, ["wait"])


async def test_an_unknown_run_is_not_waited_for(client: httpx.AsyncClient, run: DeviceRun) -> None:
    assert (await client.get(output(DeviceRun(), wait=25))).status_code == 404


async def test_a_download_is_streamed_from_an_asgi_server_as_well(
    client: httpx.AsyncClient, run: DeviceRun
) -> None:
    for number in range(5):
        await in_thread(partial(factories.write_output, run, bytes([number]) * 200_000))
    answer = await client.get(output(run, offset=100_000), headers={"Accept": "text/plain"})
    assert answer.content == b"".join(bytes([n]) * 200_000 for n in range(5))[100_000:]
    assert answer.headers["Transfer-Encoding"] == "chunked"
