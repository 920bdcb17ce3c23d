"""How a button's POST is answered: one verb, one message, and back to where it was pressed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from django.contrib import messages
from django.http import HttpResponseRedirect
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.http import HttpResponseClientRedirect

from accounts import vanishing
from accounts.errors import InvalidInput, NotAllowed, StateConflict

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse
    from django.shortcuts import SupportsGetAbsoluteUrl

T = TypeVar("T")
_REFUSED = "was_refused"


def attempt(request: HttpRequest, verb: Callable[[], T], success: str) -> T | None:
    """What the verb answered, its success told; None where it was refused, and the refusal told."""
    try:
        answer = verb()
    except (StateConflict, NotAllowed) as refusal:
        refuse(request, refusal.detail)
    except InvalidInput as refusal:
        refuse(request, " ".join(sentences(refusal)))
    except vanishing.ERRORS as error:
        # Somebody was quicker: it was still there when the page looked for it.
        refuse(request, vanishing.told(error))
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


def refuse(request: HttpRequest, said: str) -> None:
    """Nothing was done, and this is why; the same form may be sent again."""
    messages.error(request, said)
    vars(request)[_REFUSED] = True


def was_refused(request: HttpRequest) -> bool:
    return _REFUSED in vars(request)


def sentences(refusal: InvalidInput) -> list[str]:
    """What was refused, for a place with no field to say it beside."""
    return [said for messages_ in refusal.errors.values() for said in messages_]


def led(request: HttpRequest, to: SupportsGetAbsoluteUrl | str) -> HttpResponse:
    """To another page, from a script's form as well: a script does not see where a redirect leads."""
    answer = redirect(to)
    if request.headers.get("HX-Request") == "true":
        return HttpResponseClientRedirect(answer["Location"])
    return answer


def back(request: HttpRequest, otherwise: str) -> HttpResponseRedirect:
    """To the page that `next` names, if it is one of ours."""
    return HttpResponseRedirect(way_back(request, otherwise))


def way_back(request: HttpRequest, otherwise: str) -> str:
    """The address of that page."""
    wanted = request.POST.get("next", request.GET.get("next", ""))
    is_ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, request.is_secure())
    return wanted if is_ours else otherwise
