"""Uploads that may be cut off and go on: a draft grows piece by piece until it is a file.

The row's `received` says how much of the draft counts; a piece that was cut off is written over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.errors import InvalidInput, StateConflict
from scheduling import clock, live
from scheduling.catalogue import files, store
from scheduling.models import Upload

if TYPE_CHECKING:
    from django.contrib.auth.models import User

log = structlog.get_logger(__name__)
LIFE = timedelta(days=1)
MOST_OPEN = 50
PIECE_BYTES = 8 * 1024 * 1024


class Misplaced(Exception):
    """The piece does not begin where the draft ends; `received` is where that is."""

    def __init__(self, received: int) -> None:
        super().__init__(f"the upload goes on at {received}")
        self.received = received


def begin(user: User, data: Mapping[str, Any], size: int) -> Upload:
    """Raises InvalidInput, files.TooLarge."""
    values = files.check(data)
    if size < 0:
        raise InvalidInput({"size": [_("must not be negative.")]})
    with transaction.atomic():
        files.require_room(user, size)
        now = clock.now()
        if Upload.objects.open(now).filter(user=user).count() >= MOST_OPEN:
            raise InvalidInput({"file": [_("At most %s uploads at a time.") % MOST_OPEN]})
        upload = Upload.objects.create(user=user, size=size, expires_at=now + LIFE, **values)
        live.changed("upload", [upload.pk])
    log.info("upload_begun", upload=str(upload.pk), size=size, user=user.pk)
    return finish(upload) if size == 0 else upload


def append(upload: Upload, offset: int, pieces: Iterator[bytes], length: int) -> Upload:
    """Adds `length` bytes at `offset`; the last ones make the file. Raises Misplaced, StateConflict
    where it is complete or somebody else is at it, InvalidInput for more than was announced,
    Unavailable where the server cannot store it."""
    _begin_again_without_draft(upload)
    with transaction.atomic():
        row = Upload.objects.select_for_update(skip_locked=True).filter(pk=upload.pk).first()
        if row is None:
            raise StateConflict(_("Another piece of it is on its way."), "uploading")
        if row.file_id is not None:
            raise StateConflict(_("The upload is complete."), "complete")
        if offset != row.received:
            raise Misplaced(row.received)
        if offset + length > row.size:
            raise InvalidInput({"file": [_("The upload has %s bytes.") % row.size]})
        row.received = store.append(_draft(row), offset, pieces)
        row.expires_at = clock.now() + LIFE
        row.save(update_fields=["received", "expires_at"])
        live.changed("upload", [row.pk])
    return finish(row) if row.received == row.size else row


def finish(upload: Upload) -> Upload:
    """Makes the file of a complete draft; asked twice, it makes one. Where the draft is lost, the
    upload begins again: `received` is 0. Raises Unavailable, InvalidInput as `files.adopt`."""
    draft = _complete(upload)
    with transaction.atomic():
        row = Upload.objects.select_for_update().get(pk=upload.pk)
        if row.file_id is not None or row.received != row.size:
            return row  # whoever asked at the same time made it
        if draft is None:
            row.received = 0
        else:
            values = {"name": row.name, "description": row.description}
            row.file = files.adopt(row.user, values, draft, row)
        row.save(update_fields=["file", "received"])
        live.changed("upload", [row.pk])
    return row


def cancel(upload: Upload) -> None:
    """Forgets an upload; the file of a complete one stays."""
    path, pk = _draft(upload), upload.pk
    upload.delete()
    path.unlink(missing_ok=True)
    live.changed("upload", [pk], known_to=[upload.user_id])


@transaction.atomic
def give_up(upload: Upload) -> None:
    """Cancels one that is no file yet. Raises StateConflict where it has become one meanwhile,
    DoesNotExist where it is gone."""
    row = Upload.objects.select_for_update().get(pk=upload.pk)
    if row.file_id is not None:
        raise StateConflict(_("The upload is complete."), "complete")
    cancel(row)
    log.info("upload_cancelled", upload=str(upload.pk), user=row.user_id)


def last_at(upload: Upload) -> datetime:
    """When its last piece came, or it began."""
    return upload.expires_at - LIFE


def abandoned(now: datetime) -> QuerySet[Upload]:
    """Uploads that nobody went on with for a day, complete ones among them."""
    return Upload.objects.filter(expires_at__lt=now)


def forget(now: datetime, most: int = 100) -> int:
    """Forgets abandoned uploads, and drafts that no row speaks of; how many uploads."""
    gone = list(abandoned(now)[:most])
    for upload in gone:
        cancel(upload)
    for path in store.draft("").iterdir():
        if path.stat().st_mtime < (now - 2 * LIFE).timestamp():
            path.unlink(missing_ok=True)
    return len(gone)


def _complete(upload: Upload) -> files.Draft | None:
    path = _draft(upload)
    if upload.size == 0:
        path.touch(mode=0o600)  # of an empty file there was no piece
    try:
        draft = files.Draft.at(path)
    except FileNotFoundError:
        return None
    return draft if draft.size == upload.size else None


def _begin_again_without_draft(upload: Upload) -> None:
    """What the row counts as received is on the disk, unless somebody took the draft away."""
    path = _draft(upload)
    have = path.stat().st_size if path.exists() else 0
    if have < upload.received and upload.file_id is None:
        lost = Upload.objects.filter(pk=upload.pk, file=None, received=upload.received)
        lost.update(received=0)
        log.warning("upload_draft_lost", upload=str(upload.pk))


def _draft(upload: Upload) -> Path:
    return store.draft(f"{upload.pk}.part")
