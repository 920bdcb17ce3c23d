"""Pages of lists: by number where lists are short, by cursor where they are histories.

Both answer `count`, `next`, `previous`, `results`; a count over 10,000 is answered as 10,000 with
`count_capped`, so that no page costs more because the table is long.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from rest_framework.exceptions import NotFound
from rest_framework.pagination import BasePagination, Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param
from rest_framework.views import APIView

from accounts.api import queries

PAGE_SIZE = 50
MAX_PAGE_SIZE = 200
MAX_PAGE = 1_000_000
COUNT_LIMIT = 10_000
Envelope = dict[str, Any]


class NumberedPages(BasePagination):
    """`page` from 1 and `page_size`; a page after the last one is a 404."""

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any]:
        self._request = request
        with queries.reading() as errors:
            self._number = queries.whole_number(
                request, "page", errors, default=1, low=1, high=MAX_PAGE
            )
            size = _size(request, errors)
        start = (self._number - 1) * size
        rows = list(queryset[start : start + size + 1])
        if not rows and self._number > 1:
            raise NotFound(_("There is no such page."))
        self._has_next = len(rows) > size
        self._count = capped_count(queryset)
        return rows[:size]

    def get_paginated_response(self, data: Any) -> Response:
        url = self._request.build_absolute_uri()
        next_url = replace_query_param(url, "page", self._number + 1) if self._has_next else None
        previous = None
        if self._number == 2:
            previous = remove_query_param(url, "page")
        elif self._number > 2:
            previous = replace_query_param(url, "page", self._number - 1)
        return Response(envelope(self._count, next_url, previous, data))

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        return [
            _integer_parameter("page", MAX_PAGE),
            _integer_parameter("page_size", MAX_PAGE_SIZE),
        ]

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return envelope_schema(schema)


class HistoryPages(CursorPagination):
    """Newest first, by `cursor`: ids are UUIDs of version 7, so order by id is order in time."""

    ordering = "-id"
    page_size = PAGE_SIZE
    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE_SIZE
    cursor_query_description = "Where to go on, from `next` or `previous`."
    page_size_query_description = "At most 200."

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any] | None:
        self.get_page_size(request)
        self._count = capped_count(queryset)
        return super().paginate_queryset(queryset, request, view)

    def get_page_size(self, request: Request) -> int:
        with queries.reading() as errors:
            return _size(request, errors)

    def decode_cursor(self, request: Request) -> Cursor | None:
        cursor = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None:
            try:
                UUID(str(cursor.position))
            except ValueError:
                raise NotFound(self.invalid_cursor_message) from None
        return cursor

    def get_paginated_response(self, data: Any) -> Response:
        links = self.get_next_link(), self.get_previous_link()
        return Response(envelope(self._count, *links, data))

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return envelope_schema(schema)


def capped_count(queryset: QuerySet[Any]) -> int:
    """How many rows there are, or any number above the limit where it is passed."""
    return queryset.order_by()[: COUNT_LIMIT + 1].count()


def envelope(count: int, next_url: str | None, previous: str | None, results: Any) -> Envelope:
    capped: Mapping[str, Any] = {"count_capped": True} if count > COUNT_LIMIT else {}
    return {
        "count": min(count, COUNT_LIMIT),
        **capped,
        "next": next_url,
        "previous": previous,
        "results": results,
    }


def envelope_schema(results: dict[str, Any]) -> dict[str, Any]:
    link = {"type": ["string", "null"], "format": "uri"}
    return {
        "type": "object",
        "required": ["count", "next", "previous", "results"],
        "properties": {
            "count": {"type": "integer", "maximum": COUNT_LIMIT},
            "count_capped": {
                "type": "boolean",
                "description": "Present and true where there are more rows than `count` says.",
            },
            "next": link,
            "previous": link,
            "results": results,
        },
    }


def _size(request: Request, errors: queries.Errors) -> int:
    return queries.whole_number(
        request, "page_size", errors, default=PAGE_SIZE, low=1, high=MAX_PAGE_SIZE
    )


def _integer_parameter(name: str, high: int) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": high},
    }
