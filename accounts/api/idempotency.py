"""`Idempotency-Key`: the same request sent twice acts once and is answered alike for 24 hours."""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework import status
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import person
from accounts.errors import InvalidInput
from accounts.models import IdempotencyKey

HEADER = "Idempotency-Key"
MAX_KEY_LENGTH = 200
MAX_PATH_LENGTH = 300
KEPT_FOR = timedelta(hours=24)
WAIT_SECONDS = 10.0
LOOK_EVERY_SECONDS = 0.1
RETRY_AFTER_SECONDS = 5

Handler = TypeVar("Handler", bound=Callable[..., Response])


def idempotent(handler: Handler) -> Handler:
    """For a handler of POST. Not for one whose answer holds a secret: answers are stored."""

    @functools.wraps(handler)
    def answering(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        if HEADER not in request.headers:
            return handler(self, request, *args, **kwargs)
        once = _Once.of(request)
        return once.answer(lambda: handler(self, request, *args, **kwargs))

    answering.is_idempotent = True  # type: ignore[attr-defined]
    return answering  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class _Once:
    user_id: int
    method: str
    path: str
    key: str
    body_sha256: str

    @classmethod
    def of(cls, request: Request) -> _Once:
        """Raises InvalidInput where the key is not one."""
        key = request.headers[HEADER]
        if not 1 <= len(key) <= MAX_KEY_LENGTH or not key.isprintable():
            message = _("must have from %(low)s to %(high)s characters.")
            raise InvalidInput({HEADER: [message % {"low": 1, "high": MAX_KEY_LENGTH}]})
        body = json.dumps(request.data, sort_keys=True, separators=(",", ":")).encode()
        return cls(
            person(request).pk,
            str(request.method),
            request.path[:MAX_PATH_LENGTH],
            key,
            hashlib.sha256(body).hexdigest(),
        )

    def answer(self, act: Callable[[], Response]) -> Response:
        """Waits for whoever is at it. The connection goes back to the pool between two looks."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            with transaction.atomic():
                if self._is_mine():
                    return self._remembered() or self._remember(act())
            if time.monotonic() >= deadline:
                return _conflict(
                    _("The first request with this key is still under way."),
                    headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
                )
            if not connection.in_atomic_block:
                connection.close()
            time.sleep(LOOK_EVERY_SECONDS)

    def _is_mine(self) -> bool:
        """Takes this key for the rest of the transaction, or says that another one has it."""
        scope = "\0".join((str(self.user_id), self.method, self.path, self.key)).encode()
        number = int.from_bytes(hashlib.sha256(scope).digest()[:8], signed=True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
            return bool(cursor.fetchone()[0])

    def _remembered(self) -> Response | None:
        mine = IdempotencyKey.objects.filter(
            user=self.user_id, method=self.method, path=self.path, key=self.key
        )
        mine.filter(created_at__lte=timezone.now() - KEPT_FOR).delete()
        first = mine.first()
        if first is None:
            return None
        if first.body_sha256 != self.body_sha256:
            return _conflict(_("This key was used with another body."))
        return Response(first.response_body, status=first.response_status)

    def _remember(self, response: Response) -> Response:
        """Only what succeeded is kept: a refusal raised, and took the transaction with it."""
        IdempotencyKey.objects.create(
            user_id=self.user_id,
            method=self.method,
            path=self.path,
            key=self.key,
            body_sha256=self.body_sha256,
            response_status=response.status_code,
            response_body=json.loads(JSONRenderer().render(response.data)),
        )
        return response


def _conflict(detail: str, headers: dict[str, str] | None = None) -> Response:
    # `status` as in every 409: here the state of the key's first request.
    body = {"detail": detail, "status": "under_way" if headers else "answered"}
    return Response(body, status=status.HTTP_409_CONFLICT, headers=headers)
