"""The store as a bucket that speaks S3. Loaded by its name in the settings, where one is set; needs
what requirements-s3.txt has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from django.utils.translation import gettext as _
from storages.backends.s3 import S3Storage

from accounts.errors import Unavailable

log = structlog.get_logger(__name__)


class Bucket(S3Storage):
    """Whatever the bucket refuses is Unavailable; the log says which refusal it was, and neither
    keys nor addresses."""

    def exists(self, name: str) -> bool:
        with _asked("exists"):
            return bool(super().exists(name))

    def delete(self, name: str) -> None:
        with _asked("delete"):
            super().delete(name)

    def url(self, name: str, *args: Any, **options: Any) -> str:
        with _asked("sign"):
            return str(super().url(name, *args, **options))

    def _save(self, name: str, content: Any) -> str:
        with _asked("save"):
            return str(super()._save(name, content))

    def _open(self, name: str, mode: str = "rb") -> Any:
        with _asked("open"):
            file = super()._open(name, mode)
            file.file  # noqa: B018  (fetched now, so that a refusal is heard here)
            return file


@contextmanager
def _asked(what: str) -> Iterator[None]:
    try:
        yield
    except ClientError as refusal:
        raise _unavailable(what, _reason(refusal.response["Error"])) from None
    except (BotoCoreError, Boto3Error) as problem:
        raise _unavailable(what, type(problem).__name__) from None


def _reason(error: Any) -> str:
    code = str(error["Code"])
    # The answer to a HEAD has no body: its status is all there is.
    return f"{code} {error.get('Message', '')}" if code.isdecimal() else code


def _unavailable(what: str, reason: str) -> Unavailable:
    log.error("bucket_refused", act=what, reason=reason)
    return Unavailable(_("The bucket that keeps the files refuses: %s.") % reason)
