"""Hints: messages that make things fast and may be lost. Reconcile and poll do without them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from celery import current_app
from channels.layers import get_channel_layer
from django.db import transaction
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from scheduling import outbox

log = structlog.get_logger(__name__)
HUBS = "hubs"
SEND_WITHIN_SECONDS = 3.0
SILENCE_SECONDS = 5.0
# Redis hands out the lower number first: what is due opens before what is open moves on.
AFTER_OPENING = 6


def advance(execution_ids: Iterable[UUID]) -> None:
    """After the commit, asks a worker to move these executions on."""
    ids = sorted({str(execution_id) for execution_id in execution_ids})
    if ids:
        after_commit(partial(_publish, "scheduling.tasks.advance", [ids], AFTER_OPENING))


def wake_hubs() -> None:
    """After the commit, tells every web process to look for runs to grant or to cancel, and for
    sessions that have ended."""
    after_commit(partial(send_to_group, HUBS, {"type": "hub.wake"}))


def offer_runs() -> None:
    """The same where there is nothing but runs to grant, which is asked for far more often."""
    after_commit(partial(send_to_group, HUBS, {"type": "hub.offer"}))


def open_due(task_id: UUID) -> None:
    """After the commit, asks a worker to open what is due of this task."""
    after_commit(partial(_publish, "scheduling.tasks.open_due", [[[str(task_id), None]], "worker"]))


def open_dependents(execution_id: UUID) -> None:
    """After the commit, asks a worker to open what waits for this execution's end."""
    after_commit(partial(_publish, "scheduling.tasks.open_dependents", [str(execution_id)]))


def send_to_group(group: str, message: dict[str, Any]) -> None:
    layer = get_channel_layer()
    if layer is not None:
        _try(group, lambda: outbox.run(partial(_send_soon, layer, group, message)))


async def _send_soon(layer: Any, group: str, message: dict[str, Any]) -> None:
    # The layer's own timeout suits whoever waits for messages; nobody waits so long to send one.
    async with asyncio.timeout(SEND_WITHIN_SECONDS):
        await layer.group_send(group, message)


def _publish(name: str, args: list[Any], priority: int = 0) -> None:
    _try(name, lambda: current_app.send_task(name, args=args, retry=False, priority=priority))


_silent_until = [0.0]


def _try(what: str, send: Callable[[], object]) -> None:
    """Sends, or loses the hint. A Redis that hangs costs its timeout once in a while, not at every
    hint: a page or a transaction's other hints do not wait for it again and again."""
    if time.monotonic() < _silent_until[0]:
        return
    try:
        send()
    except (OperationalError, RedisError, OSError) as error:
        _silent_until[0] = time.monotonic() + SILENCE_SECONDS
        log.warning("hint_lost", hint=what, error=type(error).__name__)


def after_commit(send: partial[None]) -> None:
    def hint() -> None:  # on_commit names the callable when it fails, which a partial cannot
        for one in _outboxes:
            one.put(send)
        if not _outboxes:
            send()

    transaction.on_commit(hint, robust=True)


_outboxes: list[outbox.Outbox] = []


def begin_sending_aside() -> None:
    """From now on nobody in this process waits for a hint to be sent."""
    _outboxes[:] = [outbox.Outbox()]
    _outboxes[0].start()


def end_sending_aside() -> None:
    for one in _outboxes:
        one.close()
    _outboxes.clear()
