"""Keys to the API: issued, found again and revoked. A key is shown once; its SHA-256 is kept."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import telling
from accounts.errors import InvalidInput
from accounts.models import ApiToken

if TYPE_CHECKING:
    from django.contrib.auth.models import User

log = structlog.get_logger(__name__)
PREFIX = "dpx_"
"""What secret scanners and people recognise a key by."""
KEY_BYTES = 32
USE_NOTED_EVERY = timedelta(minutes=1)


def issue(
    user: User, name: str, scopes: Iterable[str] = (), expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """A new token and its key. No scopes: all the person's rights. Raises InvalidInput."""
    wanted = list(dict.fromkeys(scopes))
    _check(name, wanted, expires_at)
    key = PREFIX + secrets.token_urlsafe(KEY_BYTES)
    token = ApiToken.objects.create(
        user=user,
        name=name.strip(),
        key_sha256=digest(key),
        scopes=wanted,
        expires_at=expires_at,
    )
    telling.changed("token", [token.pk])
    log.info("token_issued", token=str(token.pk), user=user.pk, scopes=wanted)
    return token, key


def revoke(token: ApiToken) -> ApiToken:
    """From now on the key opens nothing. Revoking twice keeps the first moment."""
    if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()):
        telling.changed("token", [token.pk])
        log.info("token_revoked", token=str(token.pk))
    return ApiToken.objects.get(pk=token.pk)


def find(key: str) -> ApiToken | None:
    """The token of this key that is valid now, its user selected, its use noted."""
    now = timezone.now()
    # Found by digest: how long the look-up takes says nothing about any key.
    valid = ApiToken.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=now),
        key_sha256=digest(key),
        revoked_at=None,
        user__is_active=True,
    )
    token = valid.select_related("user").first()
    if token is not None:
        _note_use(token, now)
    return token


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _check(name: str, scopes: list[str], expires_at: datetime | None) -> None:
    errors: dict[str, list[str]] = {}
    if not 1 <= len(name.strip()) <= 100:
        errors["name"] = [_("must have from %(low)s to %(high)s characters.") % _LENGTHS]
    unknown = [scope for scope in scopes if scope not in ApiToken.Scope.values]
    if unknown:
        errors["scopes"] = [_("must be a list of: %s.") % ", ".join(ApiToken.Scope.values)]
    if expires_at is not None and expires_at <= timezone.now():
        errors["expires_at"] = [_("must lie in the future.")]
    if errors:
        raise InvalidInput(errors)


_LENGTHS = {"low": 1, "high": 100}


def _note_use(token: ApiToken, now: datetime) -> None:
    """Once a minute at most: a busy client must not turn every read into a write."""
    before = token.last_used_at
    if before is None or before <= now - USE_NOTED_EVERY:
        ApiToken.objects.filter(pk=token.pk, last_used_at=before).update(last_used_at=now)
        telling.changed("token", [token.pk])
