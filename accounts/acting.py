"""How a button's POST is answered: one verb, one message, and back to where it was pressed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from django.contrib import messages
from django.http import HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme

from accounts.errors import InvalidInput, NotAllowed, StateConflict

if TYPE_CHECKING:
    from django.http import HttpRequest

T = TypeVar("T")


def attempt(request: HttpRequest, verb: Callable[[], T], success: str) -> T | None:
    """What the verb answered, its success told; None where it was refused, and the refusal told."""
    try:
        answer = verb()
    except (StateConflict, NotAllowed) as refusal:
        messages.error(request, refusal.detail)
    except InvalidInput as refusal:
        messages.error(request, " ".join(sentences(refusal)))
    else:
        messages.success(request, success)
        return answer
    return None


def succeeds(request: HttpRequest, verb: Callable[[], object], success: str) -> bool:
    """The same for a verb that answers nothing: whether it was done."""

    def done() -> bool:
        verb()
        return True

    return attempt(request, done, success) is True


def sentences(refusal: InvalidInput) -> list[str]:
    """What was refused, for a place with no field to say it beside."""
    return [said for messages_ in refusal.errors.values() for said in messages_]


def back(request: HttpRequest, otherwise: str) -> HttpResponseRedirect:
    """To the page that `next` names, if it is one of ours."""
    return HttpResponseRedirect(way_back(request, otherwise))


def way_back(request: HttpRequest, otherwise: str) -> str:
    """The address of that page."""
    wanted = request.POST.get("next", request.GET.get("next", ""))
    is_ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, request.is_secure())
    return wanted if is_ours else otherwise
