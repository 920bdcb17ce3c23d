"""Django under ASGI, in one visit to the request's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase


class OneVisit(ASGIHandler):
    """Every middleware and view of ours is synchronous. Django would go to the thread and come back for
    each of them, twenty times a page, and each time wait its turn on the loop: a quarter of a second
    while 10,000 agents answer at once."""

    def load_middleware(self, is_async: bool = False) -> None:
        """As for WSGI, whatever is asked."""
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        return await sync_to_async(self.get_response, thread_sensitive=True)(request)
