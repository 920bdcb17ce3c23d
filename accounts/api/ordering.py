from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django_filters import OrderingFilter


class Ordering(OrderingFilter):  # type: ignore[misc]
    """`ordering=name` or `-name`; equal rows by id, so that no page repeats or skips one."""

    def filter(self, queryset: QuerySet[Any], value: Any) -> QuerySet[Any]:
        ordered: QuerySet[Any] = super().filter(queryset, value)
        return ordered.order_by(*ordered.query.order_by, "pk") if value else ordered
