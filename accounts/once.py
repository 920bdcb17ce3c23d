"""What is sent twice acts once: whoever is first holds a lock, and what came of it is remembered."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.errors import StateConflict
from accounts.models import IdempotencyKey

MAX_PATH_LENGTH = 300
WAIT_SECONDS = 10.0
LOOK_EVERY_SECONDS = 0.1

T = TypeVar("T")


class UnderWay(StateConflict):
    """Whoever was first is still at it."""

    def __init__(self) -> None:
        super().__init__(_("It was sent before, and that is still under way."), "under_way")


def sha256_of(part: UploadedFile[Any]) -> str:
    """Of a file that is sent twice, its name and size may be the same and its content not."""
    digest = hashlib.sha256()
    for piece in part.chunks():
        digest.update(piece)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Once:
    """One thing that somebody wants done once, whatever is sent; `key` is the sender's."""

    user_id: int
    method: str
    path: str
    key: str
    body_sha256: str

    def answer(self, act: Callable[[], T], again: Callable[[IdempotencyKey], T]) -> T:
        """What `act` answers, which is to `remember` it; where that was done, what `again` makes of
        what is remembered. Either is one transaction. Waits for whoever is at it, and the connection
        goes back to the pool between two looks. Raises UnderWay."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            with transaction.atomic():
                if self._is_mine():
                    first = self._remembered()
                    return act() if first is None else again(first)
            if time.monotonic() >= deadline:
                raise UnderWay
            if not connection.in_atomic_block:
                connection.close()
            time.sleep(LOOK_EVERY_SECONDS)

    def remember(self, status: int, body: object) -> None:
        """Only what succeeded is to be kept."""
        IdempotencyKey.objects.create(
            user_id=self.user_id,
            method=self.method,
            path=self.path,
            key=self.key,
            body_sha256=self.body_sha256,
            response_status=status,
            response_body=body,
        )

    def _is_mine(self) -> bool:
        """Takes this key for the rest of the transaction, or says that another one has it."""
        scope = "\0".join((str(self.user_id), self.method, self.path, self.key)).encode()
        number = int.from_bytes(hashlib.sha256(scope).digest()[:8], signed=True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
            return bool(cursor.fetchone()[0])

    def _remembered(self) -> IdempotencyKey | None:
        mine = IdempotencyKey.objects.filter(
            user=self.user_id, method=self.method, path=self.path, key=self.key
        )
        kept_for = timedelta(days=settings.DEPLOYX_KEEP_IDEMPOTENCY_KEYS_DAYS)
        mine.filter(created_at__lte=timezone.now() - kept_for).delete()
        return mine.first()
