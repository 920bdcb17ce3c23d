"""Forms that act: what is sent twice is done once, and who has to sign in first finds a page after it."""

from __future__ import annotations

import functools
import hashlib
import json
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.acting import led, refuse, was_refused, way_back
from accounts.once import MAX_PATH_LENGTH, Once, UnderWay, sha256_of
from accounts.pages import person

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from accounts.models import IdempotencyKey

View = Callable[..., "HttpResponse"]
FIELD = "once"
"""Of every form that acts, new with each showing of it: `{% once %}`."""
_NOT_TYPED = frozenset({FIELD, "csrfmiddlewaretoken"})
_LEADS_TO = "leads_to"
_DIGEST = "digest_of_form"


def new_key() -> str:
    return secrets.token_urlsafe(16)


def button(page: str, *, of_object: bool = True) -> Callable[[View], View]:
    """For a view that only takes a POST. Who has to sign in first comes to where the button was, or
    to the page of this name, which is that of the same object or of all."""

    def decorated(view: View) -> View:
        @require_POST
        @functools.wraps(view)
        def answering(request: HttpRequest, **named: Any) -> HttpResponse:
            otherwise = reverse(page, kwargs=named if of_object else None)
            if not request.user.is_authenticated:
                return redirect_to_login(way_back(request, otherwise))
            return act(request, lambda: view(request, **named), otherwise)

        return answering

    return decorated


def by_script(view: View) -> View:
    """For a view that only answers a part of a page to its script: who has to sign in first comes to
    that page."""

    @require_POST
    @functools.wraps(view)
    def answering(request: HttpRequest, *args: Any, **named: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(_page_of_script(request))
        return view(request, *args, **named)

    return answering


def once(view: View) -> View:
    """For a view that shows its form on a GET; behind `login_required`."""

    @functools.wraps(view)
    def answering(request: HttpRequest, *args: Any, **named: Any) -> HttpResponse:
        return act(request, lambda: view(request, *args, **named), request.get_full_path())

    return answering


def act(request: HttpRequest, do: Callable[[], HttpResponse], otherwise: str) -> HttpResponse:
    """What `do` answers, in one transaction. A form that was sent before, and not refused, leads to
    where it led then."""
    press = _press(request)
    if press is None:
        return do()

    def first() -> HttpResponse:
        answer = do()
        _remember(request, press, answer)
        return answer

    try:
        return press.answer(first, functools.partial(_lead_again, request))
    except UnderWay as refusal:
        return _wait(request, refusal, otherwise)


def in_parts(view: View) -> View:
    """As `once`, for what takes too long for one transaction: it does each thing as a `part`, and goes
    on with what is left where it was broken off and is sent again; or it only prepares what `act` does."""

    @functools.wraps(view)
    def answering(request: HttpRequest, *args: Any, **named: Any) -> HttpResponse:
        press = _press(request)
        if press is None:
            return view(request, *args, **named)
        try:
            again = press.answer(lambda: None, functools.partial(_lead_again, request))
        except UnderWay as refusal:
            again = _wait(request, refusal, request.get_full_path())
        if again is not None:
            return again
        answer = view(request, *args, **named)
        press.answer(lambda: _remember(request, press, answer), lambda first: None)
        return answer

    return answering


def part(request: HttpRequest, name: object, do: Callable[[], object]) -> None:
    """Does one thing of many, unless this very form has done it before. Raises UnderWay."""
    press = _press(request, str(name))
    if press is None:
        do()
        return

    def first() -> None:
        do()
        press.remember(200, None)

    press.answer(first, lambda first: None)


def leads_to(request: HttpRequest, address: str) -> None:
    """Where a form that was answered by a page, not by a redirect, leads when it is sent again."""
    vars(request)[_LEADS_TO] = address


def _page_of_script(request: HttpRequest) -> str:
    page = urlsplit(request.headers.get("HX-Current-URL", ""))
    return page._replace(scheme="", netloc="").geturl() or reverse("overview")


def _press(request: HttpRequest, part: str = "") -> Once | None:
    """None where the form carries no key. Another content is another form, whatever its key."""
    key = request.POST.get(FIELD, "") if request.method == "POST" else ""
    if not key:
        return None
    digest = _digest(request)
    mine = hashlib.sha256(f"{key}\0{digest}\0{part}".encode()).hexdigest()
    path = request.path[:MAX_PATH_LENGTH]
    return Once(person(request).pk, "POST", path, mine, digest)


def _digest(request: HttpRequest) -> str:
    """Of all that was typed and sent: read once, in however many parts it is done."""
    if _DIGEST in vars(request):
        return str(vars(request)[_DIGEST])
    typed = sorted(item for item in request.POST.lists() if item[0] not in _NOT_TYPED)
    sent = sorted(
        (name, part.name, sha256_of(part))
        for name, parts in request.FILES.lists()
        for part in parts
    )
    digest = vars(request)[_DIGEST] = hashlib.sha256(json.dumps([typed, sent]).encode()).hexdigest()
    return digest


def _remember(request: HttpRequest, press: Once, answer: HttpResponse) -> None:
    to = answer.get("Location") or answer.get("HX-Redirect") or vars(request).get(_LEADS_TO)
    if to and not was_refused(request):
        press.remember(answer.status_code, {"leads_to": to})


def _wait(request: HttpRequest, refusal: UnderWay, otherwise: str) -> HttpResponse:
    refuse(request, refusal.detail)
    return led(request, otherwise)


def _lead_again(request: HttpRequest, first: IdempotencyKey) -> HttpResponse:
    assert first.response_body is not None
    messages.info(request, _("It was sent more than once, and done once."))
    return led(request, first.response_body["leads_to"])
