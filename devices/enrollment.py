"""How a machine becomes a device: somebody issues a token, the machine presents it once.

A token is 256 random bits, shown when it is issued and kept as its SHA-256 alone.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import telling
from accounts.errors import InvalidInput, StateConflict
from accounts.rights import require_administrator
from devices import keys
from devices.agent import protocol
from devices.facts import described, one_line, storable
from devices.models import Device, EnrollmentToken

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from devices.models import DeviceGroup

log = structlog.get_logger(__name__)
PREFIX = "dxe_"
"""By it a token that leaked into a log or a repository is recognised."""
DEFAULT_LIFETIME = timedelta(hours=24)
LONGEST_LIFETIME = timedelta(days=365)
MOST_USES = 100_000


class EnrolmentRefused(Exception):
    """The machine is not let in; whoever asked is not told why."""


def issue(
    group: DeviceGroup | None = None,
    uses_limit: int = 1,
    expires_in: timedelta = DEFAULT_LIFETIME,
    name: str = "",
    created_by: User | None = None,
) -> tuple[EnrollmentToken, str]:
    """A new token and its text, which nobody can read again. `created_by` is None for whoever
    sits at the server's own command line. Raises NotAllowed, InvalidInput."""
    if created_by is not None:
        require_administrator(created_by)
    _check(uses_limit, expires_in)
    text = PREFIX + secrets.token_urlsafe(32)
    token = EnrollmentToken.objects.create(
        name=one_line(name, 100),
        token_sha256=_digest(text),
        group=group,
        uses_limit=uses_limit,
        created_by=created_by,
        expires_at=timezone.now() + expires_in,
    )
    telling.changed("enrollment_token", [token.pk])
    log.info("enrolment_token_issued", token=str(token.pk), uses=uses_limit)
    return token, text


def revoke(token: EnrollmentToken, user: User | None = None) -> EnrollmentToken:
    """The token lets nobody in any more; what enrolled with it stays. `user` as in `issue`.
    Raises NotAllowed, and StateConflict where it is revoked already."""
    if user is not None:
        require_administrator(user)
    now = timezone.now()
    if not EnrollmentToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now):
        raise StateConflict(_("The token is revoked already."), EnrollmentToken.Status.REVOKED)
    telling.changed("enrollment_token", [token.pk])
    log.info("enrolment_token_revoked", token=str(token.pk))
    token.revoked_at = now
    return token


def enroll(body: bytes) -> protocol.EnrolmentAnswer:
    """Makes the machine that sent this `POST /api/agent/enroll` body a device.

    Raises ProtocolError for a body that is none, SigningKeyError while this server has no key to
    be known by, EnrolmentRefused for everything else, a used token among it.
    """
    request = protocol.decode_enrolment_request(body)
    server_key = keys.current_public_key()
    signed = protocol.enroll_bytes(request.token, request.public_key)
    if not protocol.verify(request.public_key, request.signature, signed):
        raise EnrolmentRefused
    device = _admit(request)
    return protocol.EnrolmentAnswer(
        device_id=str(device.pk),
        server_id=str(keys.server_id()),
        key_id=protocol.key_id(server_key),
        server_key=server_key,
        socket=socket_address(),
    )


def socket_address() -> str:
    """Where agents connect: the public address, in WebSocket's words."""
    parts = urlsplit(settings.DEPLOYX_PUBLIC_URL)
    scheme = "wss" if parts.scheme == "https" else "ws"
    path = parts.path.rstrip("/") + protocol.SOCKET_PATH
    return urlunsplit((scheme, parts.netloc, path, "", ""))


def _check(uses_limit: int, expires_in: timedelta) -> None:
    errors = {}
    if not 1 <= uses_limit <= MOST_USES:
        errors["uses_limit"] = [_("must be from 1 to %s.") % MOST_USES]
    if not timedelta(0) < expires_in <= LONGEST_LIFETIME:
        errors["expires_at"] = [_("must lie in the future, at most a year ahead.")]
    if errors:
        raise InvalidInput(errors)


def _admit(request: protocol.EnrolmentRequest) -> Device:
    try:
        with transaction.atomic():
            token = _consume(request.token)
            device = _create(request, token)
            if token.group is not None:
                token.group.devices.add(device)
            telling.changed("device", [device.pk])
            telling.changed("enrollment_token", [token.pk])
    except IntegrityError:
        # The key is another device's. Its token keeps its use: the transaction went back.
        raise EnrolmentRefused from None
    log.info("device_enrolled", device=str(device.pk), token=str(token.pk))
    return device


def _consume(text: str) -> EnrollmentToken:
    """The token with one use taken, in one conditional UPDATE: of two who come at once for the
    last use, the database lets one through."""
    presented = EnrollmentToken.objects.filter(token_sha256=_digest(text))
    usable = presented.filter(revoked_at=None, expires_at__gt=Now(), uses_count__lt=F("uses_limit"))
    if not usable.update(uses_count=F("uses_count") + 1):
        raise EnrolmentRefused
    return presented.get()


def _create(request: protocol.EnrolmentRequest, token: EnrollmentToken) -> Device:
    words = described(request.facts)
    return Device.objects.create(
        name=one_line(request.name, 200) or words.hostname[:200] or _("Unnamed device"),
        hostname=words.hostname,
        os=words.os,
        architecture=words.architecture,
        agent_version=one_line(request.agent_version, 50),
        public_key=request.public_key,
        facts=storable(request.facts),
        enrolled_with=token,
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
