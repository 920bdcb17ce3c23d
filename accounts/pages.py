"""How a page is served: whole to a browser, one live region of it to the script that shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

from accounts.rights import is_administrator

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.db.models import Model, QuerySet
    from django.http import HttpRequest, HttpResponse

M = TypeVar("M", bound="Model")
PAGE_SIZE = 25


@dataclass(frozen=True, slots=True)
class Slice(Generic[M]):
    """Some rows of a history, newest first; `older` is the id to go on from, if there are more."""

    rows: list[M]
    older: UUID | None
    is_first: bool


def person(request: HttpRequest) -> User:
    """Whoever is signed in; for views behind `login_required`."""
    assert request.user.is_authenticated
    return request.user


def administrator(request: HttpRequest) -> User:
    """The same, where only administrators come in; others get the page that says so."""
    user = person(request)
    if not is_administrator(user):
        raise PermissionDenied
    return user


def render_page(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any],
    *,
    regions: Mapping[str, str],
) -> HttpResponse:
    """The page, or only the partial of the region a script names; `regions` maps ids to partials."""
    name = template
    if request.headers.get("HX-Request") == "true":
        name = regions.get(request.headers.get("HX-Target", ""), template)
    response = render(request, name, dict(context))
    patch_vary_headers(response, ["HX-Request", "HX-Target"])
    return response


def paginate(
    request: HttpRequest,
    queryset: QuerySet[M],
    size: int = PAGE_SIZE,
    *,
    count: int | None = None,
    parameter: str = "page",
) -> Page[M]:
    """The page that `parameter` of the address names; the nearest one there is, if that is none.
    `count` is how many rows there are, where somebody has counted them already."""
    paginator = Paginator(queryset, size)
    if count is not None:
        paginator.__dict__["count"] = count
    return paginator.get_page(request.GET.get(parameter))


def newest_first(request: HttpRequest, queryset: QuerySet[M], size: int = PAGE_SIZE) -> Slice[M]:
    """The rows before `?before=`, by id: it costs the same however long the history is."""
    before = identifier(request.GET.get("before", ""))
    if before is not None:
        queryset = queryset.filter(pk__lt=before)
    rows = list(queryset.order_by("-pk")[: size + 1])
    older = rows[size - 1].pk if len(rows) > size else None
    return Slice(rows[:size], older, before is None)


def identifier(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
