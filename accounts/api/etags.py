"""ETags of what GET answers, and `If-Match` on what changes it."""

from __future__ import annotations

import hashlib
from typing import Any

from django.utils.http import parse_etags
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.refusals import PreconditionFailed


def etag_of(data: Any) -> str:
    """A strong tag of a representation, from its bytes."""
    return f'"{hashlib.sha256(JSONRenderer().render(data)).hexdigest()[:32]}"'


def tagged(data: Any, **options: Any) -> Response:
    """The answer that shows one object, with its tag."""
    return Response(data, headers={"ETag": etag_of(data)}, **options)


def wants_match(request: Request) -> bool:
    return "If-Match" in request.headers


def require_match(request: Request, data: Any) -> None:
    """`data` is the representation as it is now, its row locked. Raises PreconditionFailed."""
    wanted = parse_etags(request.headers["If-Match"])
    if "*" not in wanted and etag_of(data) not in wanted:
        raise PreconditionFailed
