"""`/agent/`: what a machine fetches before anybody knows it. Public, and the same for everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpResponse
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext as _
from django.views.decorators.http import condition, require_safe

from devices import installing, wheel
from devices.api.brake import Brake

if TYPE_CHECKING:
    from django.http import HttpRequest

# A fleet may sit behind one address; a loop that fetches without end is held up.
FETCHES = Brake("agent-files", at_most=600, seconds=60)


@require_safe
def install_script(request: HttpRequest) -> HttpResponse:
    return _file(request, installing.script().encode(), "text/x-shellscript; charset=utf-8")


@require_safe
def agent_wheel(request: HttpRequest, name: str) -> HttpResponse:
    packed = wheel.built()
    if name == packed.name:
        return _file(request, packed.content, "application/zip")
    there = _("There is no %(name)s here. This server has %(wheel)s and install.sh.")
    return _said(404, there % {"name": name, "wheel": packed.name})


def _file(request: HttpRequest, content: bytes, content_type: str) -> HttpResponse:
    address = request.META.get("REMOTE_ADDR", "")
    if wait := FETCHES.wait_seconds(address):
        refusal = _said(429, _("Too many tries; wait a moment."))
        refusal["Retry-After"] = str(wait)
        return refusal
    FETCHES.count(address)
    return _unless_known(request, content, content_type)


def _etag(_request: HttpRequest, content: bytes, _content_type: str) -> str:
    return f'"{wheel.digest(content)}"'


@condition(etag_func=_etag)
def _unless_known(request: HttpRequest, content: bytes, content_type: str) -> HttpResponse:
    """May be kept, but is asked for again each time: script and wheel must fit each other."""
    answer = HttpResponse(content, content_type=content_type)
    patch_cache_control(answer, public=True, no_cache=True)
    return answer


def _said(status: int, text: str) -> HttpResponse:
    return HttpResponse(f"{text}\n", status=status, content_type="text/plain; charset=utf-8")
