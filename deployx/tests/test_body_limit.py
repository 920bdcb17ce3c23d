from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client

from accounts import tokens
from deployx.body_limit import LARGER_BODIES, LARGEST_AT_ONCE, BodyLimit
from deployx.one_visit import OneVisit
from devices.tests.conftest import in_thread

MOST = 1_000
LARGER = {("POST", "/large"): 5_000}
TOO_MANY = LARGEST_AT_ONCE + 1


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers with how much came."""
    size, more = 0, True
    while more:
        message: Mapping[str, Any] = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(BodyLimit(echo, most=MOST))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as opened:
        yield opened


async def in_pieces(*sizes: int) -> AsyncIterator[bytes]:
    for size in sizes:
        yield b"x" * size


async def test_what_fits_passes_whole(client: httpx.AsyncClient) -> None:
    assert (await client.post("/", content=b"x" * MOST)).text == str(MOST)
    assert (await client.post("/", content=in_pieces(600, 400))).text == str(MOST)
    assert (await client.get("/")).text == "0"


async def test_what_is_announced_too_large_is_a_413(client: httpx.AsyncClient) -> None:
    answer = await client.post("/", content=b"x" * (MOST + 1))
    assert (answer.status_code, list(answer.json())) == (413, ["detail"])


async def test_what_turns_out_too_large_is_a_413(client: httpx.AsyncClient) -> None:
    answer = await client.post("/", content=in_pieces(600, 400, 1))
    assert answer.status_code == 413


async def test_django_gives_the_refusal_its_way() -> None:
    transport = httpx.ASGITransport(BodyLimit(OneVisit(), most=MOST))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as opened:
        answer = await opened.post("/api/nothing", content=in_pieces(600, 600))
    assert answer.status_code == 413


@pytest.fixture
def person(transactional_db: None) -> User:
    return User.objects.create_user("person", password="password")


@pytest.fixture
def token(person: User) -> str:
    return tokens.issue(person, "laptop")[1]


@pytest.fixture
async def large() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(BodyLimit(echo, most=MOST, larger=LARGER))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as opened:
        yield opened


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize(("method", "path"), LARGER_BODIES)
async def test_nobody_is_asked_to_send_much(method: str, path: str, transactional_db: None) -> None:
    read, said = 0, []

    async def receive() -> Mapping[str, Any]:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": bytes(1024**2), "more_body": read < 3}

    async def send(message: Any) -> None:
        said.append(message)

    from deployx.asgi import application

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-length", b"%d" % (3 * 1024**2))],
    }
    await application(scope, receive, send)
    assert (said[0]["status"], read) == (401, 0)


async def test_a_wrong_token_is_nobody(large: httpx.AsyncClient, transactional_db: None) -> None:
    answer = await large.post("/large", content=b"x" * 5_000, headers=bearer("dpx_wrong"))
    assert (answer.status_code, list(answer.json())) == (401, ["detail"])
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_session_that_is_over_is_nobody(large: httpx.AsyncClient, person: User) -> None:
    for key in ("x" * 32, "", "\\000" * 8):
        headers = {"Cookie": f'{settings.SESSION_COOKIE_NAME}="{key}"'}
        answer = await large.post("/large", content=b"x" * 5_000, headers=headers)
        assert answer.status_code == 401


async def test_the_bearer_of_a_token_may_send_much(large: httpx.AsyncClient, token: str) -> None:
    sent = await large.post("/large", content=b"x" * 5_000, headers=bearer(token))
    assert sent.text == "5000"
    assert (await large.post("/large", content=b"x" * 5_001, headers=bearer(token))).is_error
    assert (await large.post("/small", content=b"x" * 1_001, headers=bearer(token))).is_error


async def test_a_person_who_is_signed_in_may_send_much(
    large: httpx.AsyncClient, person: User
) -> None:
    client = Client()
    await in_thread(lambda: client.force_login(person))
    key = client.cookies[settings.SESSION_COOKIE_NAME].value
    headers = {"Cookie": f"a=b; {settings.SESSION_COOKIE_NAME}={key}"}
    assert (await large.post("/large", content=b"x" * 5_000, headers=headers)).text == "5000"


async def test_what_comes_unannounced_may_be_large_from_who_is_known(
    large: httpx.AsyncClient, token: str
) -> None:
    assert (await large.post("/large", content=in_pieces(600, 400))).text == "1000"
    assert (await large.post("/large", content=in_pieces(600, 401))).status_code == 413
    assert (
        await large.post("/large", content=in_pieces(600, 4_400), headers=bearer(token))
    ).text == "5000"
    assert (
        await large.post("/large", content=in_pieces(600, 4_401), headers=bearer(token))
    ).status_code == 413


async def test_only_so_much_is_read_at_once(large: httpx.AsyncClient, token: str) -> None:
    go_on = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"x"
        await go_on.wait()

    async def one() -> httpx.Response:
        return await large.post("/large", content=slowly(), headers=bearer(token))

    sending = [asyncio.create_task(one()) for _number in range(TOO_MANY)]
    (first,), _others = await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
    assert (first.result().status_code, first.result().headers["Retry-After"]) == (503, "5")
    go_on.set()
    answers = await asyncio.gather(*sending)
    assert sorted(answer.status_code for answer in answers) == [200] * LARGEST_AT_ONCE + [503]
    assert (await one()).status_code == 200


async def test_without_a_database_nobody_is_turned_away_for_ever(
    large: httpx.AsyncClient, token: str, tmp_path: Any
) -> None:
    before = dict(connections["default"].settings_dict)
    connections["default"].settings_dict.update(HOST=str(tmp_path), NAME="nobody")
    try:
        answer = await large.post("/large", content=b"x" * 5_000, headers=bearer(token))
    finally:
        connections["default"].settings_dict.update(before)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
