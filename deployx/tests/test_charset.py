from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from deployx.asgi import application


@pytest.fixture
async def client(transactional_db: None) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as opened:
        yield opened


@pytest.mark.parametrize(
    "charset", ["hex", "rot13", "idna", "undefined", "punycode", "utf-16", "?"]
)
async def test_what_is_not_utf_8_is_a_415(client: httpx.AsyncClient, charset: str) -> None:
    await is_refused(client, f'application/json; q=1; Charset="{charset}"')


async def test_what_cannot_be_read_is_a_415(client: httpx.AsyncClient) -> None:
    await is_refused(client, "application/json; q*=undefined''%ff")


async def is_refused(client: httpx.AsyncClient, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    for path in ("/api/devices?search=%C3%BC", "/accounts/login/?next=%C3%BC"):
        assert (await client.get(path, headers=headers)).status_code == 415


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=UTF-8", "text/plain;charset=utf8"],
)
async def test_utf_8_passes(client: httpx.AsyncClient, content_type: str) -> None:
    answer = await client.get("/api/devices?search=%C3%BC", headers={"Content-Type": content_type})
    assert answer.status_code == 401
