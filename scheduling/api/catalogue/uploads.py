"""`/api/files/uploads`: resumable uploads by the tus protocol, version 1.0.0.

Of its extensions: creation, termination, expiration. A piece has at most 8 MiB.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.http import http_date
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.authentication import person
from accounts.api.idempotency import Keyed, takes_key
from accounts.api.refusals import PreconditionFailed, TooLarge
from accounts.errors import InvalidInput
from scheduling.catalogue import files, uploads
from scheduling.models import Upload

VERSION = "1.0.0"
FILE_HEADER = "X-DeployX-File"
STATE_HEADERS = ("Upload-Offset", "Upload-Expires", FILE_HEADER)


class PieceParser(BaseParser):
    """The bytes of a piece, as a stream."""

    media_type = "application/offset+octet-stream"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        return stream


class NoParser(BaseParser):
    media_type = "*/*"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        return {}


class _Tus(APIView):
    scope_area = "tasks"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method != "OPTIONS" and request.headers.get("Tus-Resumable") != VERSION:
            raise PreconditionFailed(_("Tus-Resumable must be %s.") % VERSION)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer["Tus-Resumable"] = VERSION
        answer["Cache-Control"] = "no-store"
        if answer.status_code == PreconditionFailed.status_code:
            answer["Tus-Version"] = VERSION
        return answer


class Uploads(_Tus):
    parser_classes = (NoParser,)

    @extend_schema(request=None, responses={204: None})
    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """What this server can do."""
        headers = {
            "Tus-Version": VERSION,
            "Tus-Extension": "creation,termination,expiration",
            "Tus-Max-Size": str(settings.DEPLOYX_UPLOAD_BYTES),
        }
        return Response(status=204, headers=headers)

    @extend_schema(request=None, responses={201: None})
    @takes_key
    def post(self, request: Request) -> Response:
        """Begins an upload: `Upload-Length`, and `Upload-Metadata` with filename and description."""
        said = [request.headers.get(name, "") for name in ("Upload-Length", "Upload-Metadata")]
        keyed = Keyed.of(request, lambda: said, headers=("Location", *STATE_HEADERS))
        try:
            return keyed.answer(lambda: self._begun(request))
        except files.TooLarge as error:
            raise TooLarge(str(error)) from None

    def _begun(self, request: Request) -> Response:
        metadata, size = _metadata(request), _number(request, "Upload-Length")
        upload = uploads.begin(person(request), metadata, size)
        place = request.build_absolute_uri(reverse("api-upload", args=[upload.pk]))
        return Response(status=201, headers={"Location": place, **_state(upload)})


class UploadPieces(_Tus):
    parser_classes = (PieceParser, NoParser)
    # Who may send pieces may ask where to go on.
    action_scopes: ClassVar = {"head": ("tasks:write",)}

    @extend_schema(request=None, responses={200: None})
    def head(self, request: Request, pk: UUID) -> Response:
        """How much of it is here."""
        upload = _own(request, pk)
        return Response(headers={"Upload-Length": str(upload.size), **_state(upload)})

    @extend_schema(request={"application/offset+octet-stream": bytes}, responses={204: None})
    def patch(self, request: Request, pk: UUID) -> Response:
        """Adds a piece at `Upload-Offset`; with the last one `X-DeployX-File` names the file. An
        empty one at the end makes the file where that failed before."""
        upload = _own(request, pk)
        length = _number(request, "Content-Length")
        if length > uploads.PIECE_BYTES:
            raise TooLarge(_("A piece may have at most %s bytes.") % uploads.PIECE_BYTES)
        offset = _number(request, "Upload-Offset")
        try:
            upload = uploads.append(upload, offset, _pieces(request, length), length)
        except uploads.Misplaced as error:
            body = {"detail": str(error), "status": "uploading"}
            return Response(body, status=409, headers={"Upload-Offset": str(error.received)})
        return Response(status=204, headers=_state(upload))

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request, pk: UUID) -> Response:
        """Forgets the upload."""
        uploads.cancel(_own(request, pk))
        return Response(status=204)


def _own(request: Request, pk: UUID) -> Upload:
    return get_object_or_404(Upload.objects.visible_to(person(request)), pk=pk)


def _pieces(request: Request, length: int) -> Iterator[bytes]:
    if not length:
        return iter(())  # the framework has no stream for an empty body
    stream: Any = request.data
    return iter(lambda: stream.read(256 * 1024), b"")


def _state(upload: Upload) -> dict[str, str]:
    headers = {
        "Upload-Offset": str(upload.received),
        "Upload-Expires": http_date(upload.expires_at.timestamp()),
    }
    if upload.file_id is not None:
        headers[FILE_HEADER] = str(upload.file_id)
    return headers


def _number(request: Request, name: str) -> int:
    text = request.headers.get(name, "")
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise InvalidInput({name: [_("must be a number of bytes.")]})
    return int(text)


def _metadata(request: Request) -> dict[str, str]:
    """`filename` and `description` out of tus's pairs of a name and base64."""
    given: dict[str, str] = {}
    for pair in filter(None, request.headers.get("Upload-Metadata", "").split(",")):
        name, _space, value = pair.strip().partition(" ")
        try:
            given[name] = base64.b64decode(value, validate=True).decode()
        except ValueError:  # of base64, of UTF-8, or of what is no ASCII at all
            raise InvalidInput(
                {"Upload-Metadata": [_("%s is not base64 of UTF-8.") % name]}
            ) from None
    names = {"filename": "name", "name": "name", "description": "description"}
    return {names[name]: text for name, text in given.items() if name in names}
