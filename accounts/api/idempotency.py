"""`Idempotency-Key`: the same request sent twice acts once and is answered alike for a day at least."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

from django.utils.translation import gettext as _
from rest_framework import status
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import person
from accounts.errors import InvalidInput
from accounts.once import MAX_PATH_LENGTH, Once, UnderWay

if TYPE_CHECKING:
    from accounts.models import IdempotencyKey

HEADER = "Idempotency-Key"
MAX_KEY_LENGTH = 200
RETRY_AFTER_SECONDS = 5

Handler = TypeVar("Handler", bound=Callable[..., Response])
Answer = TypeVar("Answer", bound=Response | None)


def idempotent(handler: Handler) -> Handler:
    """For a handler of POST. Not for one whose answer holds a secret: answers are stored."""

    @functools.wraps(handler)
    def answering(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        keyed = Keyed.of(request, lambda: request.data)
        return keyed.answer(lambda: handler(self, request, *args, **kwargs))

    return takes_key(answering)  # type: ignore[return-value]


def takes_key(handler: Handler) -> Handler:
    """For one that asks `Keyed` itself."""
    handler.is_idempotent = True  # type: ignore[attr-defined]
    return handler


@dataclass(frozen=True, slots=True)
class Keyed:
    """A request with a key, or one without, which is answered anew each time."""

    once: Once | None
    headers: tuple[str, ...] = ()
    """Those that are the answer, where it has no body."""

    @classmethod
    def of(
        cls, request: Request, said: Callable[[], object], headers: tuple[str, ...] = ()
    ) -> Self:
        """`said` answers what makes it this request, as JSON takes it; without a key it is not asked.
        Raises InvalidInput where the key is not one."""
        once = _once(request, said) if HEADER in request.headers else None
        return cls(once, headers)

    def before(self) -> Response | None:
        """What it was answered, for a handler that prepares something in no transaction."""
        return None if self.once is None else self._answered(self.once, lambda: None)

    def answer(self, act: Callable[[], Response]) -> Response:
        """What `act` answers, in one transaction with its being remembered, or was answered before."""
        if self.once is None:
            return act()
        once = self.once

        def acted() -> Response:
            response = act()
            # A refusal raised, and takes the transaction with it.
            once.remember(response.status_code, self._kept(response))
            return response

        return self._answered(once, acted)

    def _answered(self, once: Once, act: Callable[[], Answer]) -> Answer | Response:
        def again(first: IdempotencyKey) -> Answer | Response:
            return self._again(once, first)

        try:
            return once.answer(act, again)
        except UnderWay:
            return _conflict(
                _("The first request with this key is still under way."),
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )

    def _kept(self, response: Response) -> Any:
        if self.headers:
            return {name: response[name] for name in self.headers if name in response}
        return json.loads(JSONRenderer().render(response.data))

    def _again(self, once: Once, first: IdempotencyKey) -> Response:
        if first.body_sha256 != once.body_sha256:
            return _conflict(_("This key was used with another body."))
        if self.headers:
            return Response(status=first.response_status, headers=first.response_body)
        return Response(first.response_body, status=first.response_status)


def _once(request: Request, said: Callable[[], object]) -> Once:
    key = request.headers[HEADER]
    if not 1 <= len(key) <= MAX_KEY_LENGTH or not key.isprintable():
        message = _("must have from %(low)s to %(high)s characters.")
        raise InvalidInput({HEADER: [message % {"low": 1, "high": MAX_KEY_LENGTH}]})
    body = json.dumps(said(), sort_keys=True, separators=(",", ":")).encode()
    return Once(
        person(request).pk,
        str(request.method),
        request.path[:MAX_PATH_LENGTH],
        key,
        hashlib.sha256(body).hexdigest(),
    )


def _conflict(detail: str, headers: dict[str, str] | None = None) -> Response:
    # `status` as in every 409: here the state of the key's first request.
    body = {"detail": detail, "status": "under_way" if headers else "answered"}
    return Response(body, status=status.HTTP_409_CONFLICT, headers=headers)
