"""A stored file's bytes, for the person who may see it: from the disk, by nginx, or out of a bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import structlog
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, HttpResponse
from django.shortcuts import render
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.errors import Unavailable
from accounts.pages import person
from scheduling import streaming
from scheduling.catalogue import leaving, store
from scheduling.views.files import visible_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from scheduling.models import StoredFile

log = structlog.get_logger(__name__)


@require_safe
@login_required
def file_content(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    file = visible_file(person(request), pk)
    path = store.local_path(file.blob_id)
    try:
        return _sent_on(file) if path is None else _given(request, file, path)
    except FileNotFoundError:
        log.error("stored_bytes_missing", sha256=file.blob_id)
        said = _("Its bytes are not there any more: the file has to be uploaded again.")
        return _told(request, file, said, 404)
    except (Unavailable, OSError) as problem:
        log.error("stored_bytes_unreadable", sha256=file.blob_id, error=str(problem))
        said = _("What keeps the files does not answer just now.")
        return _told(request, file, said, 503)


def _sent_on(file: StoredFile) -> HttpResponse:
    if not store.is_kept(file.blob_id):
        raise FileNotFoundError
    named = {
        "ResponseContentDisposition": _disposition(file),
        "ResponseContentType": leaving.CONTENT_TYPE,
    }
    url = store.remote_url(file.blob_id, leaving.REDIRECT_SECONDS, named)
    return HttpResponse(status=302, headers={"Location": url, **leaving.HEADERS})


def _given(request: HttpRequest, file: StoredFile, path: Path) -> HttpResponseBase:
    source = path.open("rb")
    place = leaving.accel_place(file.blob_id)
    if not place:
        return _streamed(request, file, source)
    source.close()  # it is there, for nginx to read
    headers = {"X-Accel-Redirect": place, "Content-Disposition": _disposition(file)}
    return HttpResponse(content_type=leaving.CONTENT_TYPE, headers={**leaving.HEADERS, **headers})


def _streamed(request: HttpRequest, file: StoredFile, source: BinaryIO) -> FileResponse:
    """The part that was asked for; whoever closes the answer closes the file."""
    answer = FileResponse(
        source,
        as_attachment=True,
        filename=file.name,
        content_type=leaving.CONTENT_TYPE,
        headers={**leaving.HEADERS, **leaving.IN_PARTS},
    )
    size = int(answer["Content-Length"])
    begin, end = leaving.part(request.headers.get("Range", ""), size) or (0, 0)
    if end - begin < size:
        answer.status_code = 206 if end else 416
        answer["Content-Range"] = f"bytes {begin}-{end - 1}/{size}" if end else f"bytes */{size}"
        answer["Content-Length"] = str(end - begin)
    sent = _pieces(source, begin, begin if request.method == "HEAD" else end)
    answer.streaming_content = streaming.parts_for(request, sent)
    return answer


def _pieces(source: BinaryIO, begin: int, end: int) -> Iterator[bytes]:
    source.seek(begin)
    while begin < end and (piece := source.read(min(leaving.PIECE_BYTES, end - begin))):
        begin += len(piece)
        yield piece


def _disposition(file: StoredFile) -> str:
    return content_disposition_header(True, file.name) or "attachment"


def _told(request: HttpRequest, file: StoredFile, said: str, status: int) -> HttpResponse:
    return render(request, "files/no_content.html", {"file": file, "said": said}, status=status)
