"""Verbs on stored files. Whoever uploads a file owns it; administrators see and manage all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, QuerySet, Sum
from django.db.models.deletion import ProtectedError
from django.db.models.expressions import Combinable
from django.utils.translation import gettext as _

from accounts import fields
from accounts.errors import InvalidInput, StateConflict
from accounts.uuid7 import uuid7
from scheduling import clock, live
from scheduling.catalogue import sniffing, store, uses
from scheduling.models import Blob, StoredFile, Upload

if TYPE_CHECKING:
    from django.contrib.auth.models import User

log = structlog.get_logger(__name__)


def _name(value: object) -> str:
    """One component of a path, as devices demand."""
    name = str(fields.text(255, shortest=1, one_line=True)(value))
    if "/" in name or name in (".", ".."):
        raise ValueError(_("must be a file's name without a path: no /, and not . or .. alone."))
    return name


CHECKS: dict[str, fields.Check] = {
    "name": _name,
    "description": fields.text(10_000),
}
_YOUNG = timedelta(hours=1)
# Any number, the same for every process: with a person's id, who holds it alone adds to their files.
_STORING = 0x66696C65


class TooLarge(ValueError):
    """More than one upload may bring; the text says how much that is."""


def check(data: Mapping[str, Any]) -> dict[str, str]:
    """`name` and `description` of a file. Raises InvalidInput."""
    errors: fields.Errors = {}
    values = fields.checked(CHECKS, {"description": "", **data}, errors)
    if "name" not in data:
        errors["name"] = [_("This field is required.")]
    if errors:
        raise InvalidInput(errors)
    return values


def require_room(user: User, size: int) -> None:
    """Raises TooLarge, and InvalidInput where the person's quota or the disk has no room for it,
    with all that is on its way. Until the end of the transaction nobody else asks for this person."""
    if size > settings.DEPLOYX_UPLOAD_BYTES:
        raise TooLarge(_("A file may have at most %s bytes.") % settings.DEPLOYX_UPLOAD_BYTES)
    _require_quota(user, size)
    coming = _sum(Upload.objects.open(clock.now()), F("size") - F("received"))
    if store.free_bytes() - coming - size < settings.DEPLOYX_FILES_FREE_BYTES:
        raise InvalidInput({"file": [_("The server's disk has no room for it.")]})


def _require_quota(user: User, size: int, own: Upload | None = None) -> None:
    """Beside all the person has and all that is on its way but their `own` upload."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_STORING, user.pk])
    coming = Upload.objects.open(clock.now()).filter(user=user)
    others = coming if own is None else coming.exclude(pk=own.pk)
    stored = StoredFile.objects.filter(user=user)
    left = (
        settings.DEPLOYX_FILES_QUOTA_BYTES - _sum(stored, F("blob__size")) - _sum(others, F("size"))
    )
    if size > left:
        raise InvalidInput({"file": [_("Your files may take %s bytes more.") % max(left, 0)]})


def _sum(rows: QuerySet[Any], number: Combinable) -> int:
    return rows.aggregate(sum=Sum(number))["sum"] or 0


def create(user: User, data: Mapping[str, Any], pieces: Iterator[bytes], size: int) -> StoredFile:
    """A file out of a body of `size` bytes. Raises InvalidInput, TooLarge, Unavailable."""
    values = check(data)
    with drafted(user, pieces, size) as draft:
        return adopt(user, values, draft)


@contextmanager
def drafted(user: User, pieces: Iterator[bytes], size: int) -> Iterator[Draft]:
    """A body of `size` bytes, to be adopted before the end. Raises InvalidInput, TooLarge, Unavailable."""
    with transaction.atomic():
        require_room(user, size)
    path = store.draft(str(uuid7()))
    try:
        sha256 = hashlib.sha256()
        store.append(path, 0, _digested(pieces, sha256))
        yield Draft.at(path, sha256.hexdigest())
    finally:
        path.unlink(missing_ok=True)


def _digested(pieces: Iterator[bytes], sha256: hashlib._Hash) -> Iterator[bytes]:
    for piece in pieces:
        sha256.update(piece)
        yield piece


@dataclass(frozen=True, slots=True)
class Draft:
    """A complete draft: all that takes long with gigabytes is done once it is made, in no
    transaction."""

    path: Path
    sha256: str
    size: int
    content_type: str

    @classmethod
    def at(cls, path: Path, sha256: str = "") -> Draft:
        """It is read through where nobody knows its digest yet. Raises Unavailable,
        FileNotFoundError."""
        sha256, size = (sha256, path.stat().st_size) if sha256 else store.digest(path)
        with path.open("rb") as draft:
            content_type = sniffing.content_type(draft.read(sniffing.HEAD_BYTES))
        store.bring(path, sha256)
        return cls(path, sha256, size, content_type)


def adopt(
    user: User, values: Mapping[str, str], draft: Draft, upload: Upload | None = None
) -> StoredFile:
    """A file out of a draft, which is then gone; of an `upload`, where it came as one. Raises
    Unavailable, and InvalidInput where other files have taken its room since it began."""
    with transaction.atomic():
        _require_quota(user, draft.size, upload)
        # The row is held from here on: nobody collects these bytes before the file refers to them.
        (blob,) = Blob.objects.bulk_create(
            [Blob(sha256=draft.sha256, size=draft.size, content_type=draft.content_type)],
            update_conflicts=True,
            unique_fields=["sha256"],
            update_fields=["content_type"],
        )
        store.keep(draft.path, draft.sha256)
        file = StoredFile.objects.create(user=user, blob_id=blob.pk, **values)
        live.changed("file", [file.pk])
    log.info("file_stored", file=str(file.pk), size=draft.size, user=user.pk)
    return file


@transaction.atomic
def update(file: StoredFile, user: User, data: Mapping[str, Any]) -> StoredFile:
    """Another name or description. Raises InvalidInput, DoesNotExist."""
    file = StoredFile.objects.select_for_update(no_key=True).get(pk=file.pk)
    values = check({"name": file.name, "description": file.description, **data})
    file.name, file.description = values["name"], values["description"]
    file.save(update_fields=["name", "description"])
    live.changed("file", [file.pk])
    log.info("file_changed", file=str(file.pk), user=user.pk)
    return file


def delete(file: StoredFile, user: User) -> None:
    """Raises StateConflict where a task or a software in the catalogue uses it. Executions that
    opened with it keep its bytes."""
    with transaction.atomic():
        StoredFile.objects.select_for_update().get(pk=file.pk)
        if users := used_by(file, user):
            raise StateConflict(_("In use by %s.") % ", ".join(users), "in_use")
        pk = file.pk
        try:
            file.delete()
        except ProtectedError:  # a software took it in this very moment
            raise StateConflict(_("In use by the catalogue."), "in_use") from None
        live.changed("file", [pk], known_to=[file.user_id])
    log.info("file_deleted", file=str(pk), user=user.pk)


def used_by(file: StoredFile, user: User) -> list[str]:
    """What refers to a file, in words for this person, a few of each."""
    software = file.sources.select_related("software").order_by("software__name")
    return uses.tasks_in_words("file_ids", file.pk, user) + [
        _("the software %s") % source.software for source in software[: uses.MOST_NAMED]
    ]


def idle(now: datetime) -> QuerySet[Blob]:
    """Bytes that nothing refers to, and that did not come just now."""
    return Blob.objects.filter(created_at__lt=now - _YOUNG, files=None, executions=None)


@transaction.atomic
def collect(now: datetime, most: int = 100) -> int:
    """Removes bytes that nothing refers to; how many."""
    chosen = list(idle(now).values_list("pk", flat=True)[:most])
    rows = Blob.objects.select_for_update(skip_locked=True).filter(pk__in=chosen)
    gone = 0
    for blob in rows:
        if blob.files.exists() or blob.executions.exists():
            continue  # referred to since the look, before the lock
        sha256 = blob.pk
        blob.delete()
        # Before the commit: where that fails, the row stands for nothing and nobody refers to it;
        # the next upload of these bytes brings them again.
        store.discard(sha256)
        gone += 1
    return gone
