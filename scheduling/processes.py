"""What a worker's and a beat's main process do beside Celery's own work."""

from __future__ import annotations

import os
import socket
import threading

import structlog
from celery import current_app
from celery.utils import worker_direct
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from kombu import Queue
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from devices import keys
from scheduling.reconcile import Reconciler

log = structlog.get_logger(__name__)
PULSE_SECONDS = 5.0


class Pulse(threading.Thread):
    """Sends this worker a task of its own every few seconds: carrying it out is its heartbeat.

    A worker that lives but takes nothing from the broker any more is thereby seen to be silent.
    """

    def __init__(self, queue: Queue, name: str) -> None:
        super().__init__(name="pulse", daemon=True)
        self._queue, self._worker = queue, name
        self._stopping = threading.Event()

    def run(self) -> None:
        while True:
            self._send()
            if self._stopping.wait(PULSE_SECONDS):
                return

    def stop(self) -> None:
        self._stopping.set()

    def _send(self) -> None:
        try:
            current_app.send_task(
                "scheduling.tasks.heartbeat",
                args=[self._worker],
                queue=self._queue,  # type: ignore[arg-type]  # a Queue is as good as its name
                expires=30,
                retry=False,
            )
        except (OperationalError, RedisError, OSError) as error:
            log.warning("pulse_not_sent", error=type(error).__name__)


_threads: list[Reconciler | Pulse] = []


def start_worker(hostname: str) -> None:
    """For a worker that is ready: reconcile, and the heartbeat through its own direct queue.
    Raises SystemExit where it could do no work."""
    _require_key()
    _start_reconcile()
    pulse = Pulse(worker_direct(hostname), f"worker@{socket.gethostname()}:{os.getpid()}")
    pulse.start()
    _threads.append(pulse)


def start_beat() -> None:
    """The same for a beat."""
    _require_key()
    _start_reconcile()


def stop() -> None:
    while _threads:
        _threads.pop().stop()


def _require_key() -> None:
    """Celery only logs what its signals' receivers raise: a process without a key, or without the
    database to look it up in, would live on and do nothing. Its supervisor starts it again."""
    try:
        keys.ensure_key()
    except (keys.SigningKeyError, DatabaseError, InterfaceError) as error:
        log.critical("cannot_start", why=str(error).partition("\n")[0])
        raise SystemExit(1) from error


def _start_reconcile() -> None:
    if settings.DEPLOYX_RECONCILE:
        reconciler = Reconciler()
        reconciler.start()
        _threads.append(reconciler)
