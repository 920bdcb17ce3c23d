"""A request goes to its thread once, with all middleware and the view in it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import httpx
import pytest
from asgiref.sync import SyncToAsync

from accounts.api.asgi import Application
from deployx.one_visit import OneVisit

AROUND = 3
"""Before it and after it Django itself tells who listens, and closes the answer."""


async def visits(monkeypatch: pytest.MonkeyPatch, path: str) -> tuple[httpx.Response, int]:
    counted: Counter[str] = Counter()
    visit = SyncToAsync.__call__

    async def counting(self: Any, *args: Any, **kwargs: Any) -> Any:
        counted["visits"] += 1
        return await visit(self, *args, **kwargs)

    monkeypatch.setattr(SyncToAsync, "__call__", counting)
    application: Application = OneVisit()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(application), base_url="http://localhost"
    ) as client:
        answer = await client.get(path)
    return answer, counted["visits"]


async def test_a_page_is_one_visit_to_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    answer, number = await visits(monkeypatch, "/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")
    assert "content-security-policy" in answer.headers
    assert number <= 1 + AROUND


@pytest.mark.django_db(transaction=True)
async def test_so_is_one_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    answer, number = await visits(monkeypatch, "/there/is/no/such/page")
    assert answer.status_code == 404
    assert number <= 1 + AROUND
