"""A web process sends its hints aside: who commits waits for nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from scheduling import hints, outbox
from scheduling.tests import factories

Sent = list[tuple[str, Any]]


@pytest.fixture(autouse=True)
def _time_to_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine may take longer over it than a process that ends."""
    monkeypatch.setattr(outbox, "CLOSE_WITHIN_SECONDS", 60.0)


@pytest.fixture
def aside() -> Iterator[None]:
    hints.begin_sending_aside()
    yield
    hints.end_sending_aside()


@pytest.mark.usefixtures("aside")
def test_what_was_said_is_sent_before_the_process_ends(
    admin: User, sent: Sent, after_commit: Callable[..., Any]
) -> None:
    execution = factories.execution(factories.task(admin))
    with after_commit():
        hints.advance([execution.pk])
    hints.end_sending_aside()
    assert sent == [("scheduling.tasks.advance", [[str(execution.pk)]])]


@pytest.mark.usefixtures("aside")
def test_a_redis_that_hangs_holds_up_nobody_and_the_same_hint_waits_once(
    admin: User, monkeypatch: pytest.MonkeyPatch, sent: Sent, after_commit: Callable[..., Any]
) -> None:
    is_hanging, is_back = threading.Event(), threading.Event()

    def hang(group: str, message: dict[str, Any]) -> None:
        is_hanging.set()
        is_back.wait(60)

    monkeypatch.setattr(hints, "send_to_group", hang)
    execution = factories.execution(factories.task(admin))
    with after_commit():
        hints.wake_hubs()
    assert is_hanging.wait(60)
    for _number in range(3):
        with after_commit():
            hints.advance([execution.pk])
    assert sent == []
    is_back.set()
    hints.end_sending_aside()
    assert sent == [("scheduling.tasks.advance", [[str(execution.pk)]])]


@pytest.mark.django_db
def test_of_too_many_that_wait_the_last_are_lost(
    monkeypatch: pytest.MonkeyPatch, sent: Sent, after_commit: Callable[..., Any]
) -> None:
    monkeypatch.setattr(outbox, "MOST_WAITING", 1)
    box = outbox.Outbox()
    monkeypatch.setattr(hints, "_outboxes", [box])
    with after_commit():
        hints.open_dependents(factories.device().pk)
        hints.open_dependents(factories.device().pk)
    box.start()
    box.close()
    assert len(sent) == 1
