from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from deployx.body_limit import BodyLimit

MOST = 1_000


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
    from django.core.asgi import get_asgi_application

    transport = httpx.ASGITransport(BodyLimit(get_asgi_application(), most=MOST))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as opened:
        answer = await opened.post("/api/nothing", content=in_pieces(600, 600))
    assert answer.status_code == 413
