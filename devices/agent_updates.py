"""Bringing agents to the version this server serves: asked for by people or by share, offered at a
pace, stopped where it goes wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from accounts import telling
from accounts.errors import StateConflict
from accounts.rights import require_administrator
from devices import facts, keys, wheel
from devices.agent import __version__, protocol
from devices.ledger_port import Session
from devices.models import AgentRelease, AgentUpdate, Device

if TYPE_CHECKING:
    from django.contrib.auth.models import User

log = structlog.get_logger(__name__)
MOST_OFFERS = 3
ANSWER_SECONDS = 900
AT_ONCE = 1_000
WATCHED = timedelta(days=1)
STOP_AT_FAILURES = 5
STOP_AT_PERCENT = 10
_PACE = 7_460_112_311
"""The advisory lock under which processes share the pace."""

_ASK = """
    INSERT INTO devices_agentupdate AS u (device_id, version, sha256, status, asked_at, asked_by_id,
                                          offers, failures_before, message)
    SELECT id, %s, %s, 'waiting', now(), %s, 0, 0, '' FROM unnest(%s::uuid[]) AS given (id)
    ON CONFLICT (device_id) DO UPDATE
       SET version = excluded.version, sha256 = excluded.sha256, status = 'waiting',
           asked_at = excluded.asked_at, asked_by_id = excluded.asked_by_id, offers = 0,
           offered_at = NULL, ended_at = NULL, message = ''
     WHERE u.status IN ('done', 'failed') OR u.sha256 <> excluded.sha256
    RETURNING device_id
"""
_OFFER = """
    WITH next AS (
        SELECT u.device_id, coalesce(d.facts #>> '{update_failed,failures}', '0') AS failures
          FROM devices_agentupdate AS u JOIN devices_device AS d ON d.id = u.device_id
         WHERE u.device_id = ANY(%s::uuid[]) AND u.sha256 = %s AND u.offers < %s
           AND (u.status = 'waiting' OR u.status = 'offered'
                AND u.offered_at < now() - make_interval(secs => %s))
           AND d.revoked_at IS NULL AND NOT d.in_recovery AND d.is_ready
         ORDER BY u.asked_at, u.device_id LIMIT %s FOR UPDATE OF u SKIP LOCKED
    )
    UPDATE devices_agentupdate AS u
       SET status = 'offered', offered_at = now(), offers = u.offers + 1,
           failures_before =
               CASE WHEN next.failures ~ '^[0-9]{1,9}$' THEN next.failures::int ELSE 0 END
      FROM next WHERE u.device_id = next.device_id
    RETURNING u.device_id
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """`versions` counts devices by their agent's version, `updates` what was asked, by its status;
    `why_stopped` is empty while updates go on."""

    version: str
    versions: dict[str, int]
    updates: dict[str, int]
    why_stopped: str


# What people do.


@transaction.atomic
def ask(devices: QuerySet[Device], user: User | None) -> int:
    """Has these devices' agents updated, where they are older than this server's; how many are.
    One whose update failed is tried again. `user` None: a command at the server's own shell.
    Raises NotAllowed."""
    if user is not None:
        require_administrator(user)
    return _ask(list(outdated(devices).values_list("pk", flat=True)), user)


def ask_one(device: Device, user: User) -> None:
    """Raises NotAllowed, and StateConflict where there is nothing to update."""
    if not ask(Device.objects.filter(pk=device.pk), user):
        raise StateConflict(_("Its agent is being updated, or is as new as it can be."), "current")


def may_be_asked(device: Device) -> bool:
    """Whether `ask_one` would do anything."""
    under_way = AgentUpdate.objects.filter(device=device, status__in=["waiting", "offered"])
    is_free = device.revoked_at is None and is_older(device.agent_version)
    return is_free and not under_way.filter(sha256=wheel.built().sha256).exists()


def stop() -> int:
    """Takes back what has not been offered; how many that were."""
    waiting = AgentUpdate.objects.filter(status=AgentUpdate.Status.WAITING)
    devices = list(waiting.values_list("device", flat=True))
    taken_back, _models = waiting.delete()
    telling.changed("device", devices)
    return taken_back


def outdated(devices: QuerySet[Device]) -> QuerySet[Device]:
    """Those of these that could be updated."""
    versions = Device.objects.order_by().values_list("agent_version", flat=True).distinct()
    older = [version for version in versions if is_older(version)]
    return devices.filter(agent_version__in=older, revoked_at=None)


def is_older(version: str) -> bool:
    """Whether an agent of this version would take this server's."""
    try:
        return protocol.version_number(version) < protocol.version_number(__version__)
    except ValueError:
        return False


def standing() -> Standing:
    counted = Device.objects.present().order_by().values_list("agent_version")
    updates = AgentUpdate.objects.order_by().values_list("status")
    return Standing(
        __version__,
        dict(counted.annotate(number=Count("pk"))),
        dict(updates.annotate(number=Count("pk"))),
        why_stopped(),
    )


def why_stopped() -> str:
    """Why nothing is offered at present, for people; empty where it is."""
    if not settings.DEPLOYX_AGENT_UPDATES_PER_MINUTE:
        return _("DEPLOYX_AGENT_UPDATES_PER_MINUTE is 0.")
    tried = AgentUpdate.objects.filter(sha256=wheel.built().sha256, status__in=["done", "failed"])
    numbers = dict(tried.order_by().values_list("status").annotate(number=Count("pk")))
    failed = numbers.get("failed", 0)
    if failed >= STOP_AT_FAILURES and failed * 100 > STOP_AT_PERCENT * sum(numbers.values()):
        return str(_("%s devices could not be updated.") % failed)
    return ""


# What worker and beat do, every few seconds.


@transaction.atomic
def sign() -> int:
    """Signs the wheel this server serves with the current key, once; whether it had to."""
    packed, signer = wheel.built(), keys.current_signer()
    if AgentRelease.objects.filter(sha256=packed.sha256, key_id=signer.key_id).exists():
        return 0
    told = {"version": __version__, "sha256": packed.sha256, "size": len(packed.content)}
    terms = json.dumps(told, separators=(",", ":")).encode()
    AgentRelease.objects.update_or_create(
        sha256=packed.sha256,
        defaults={
            "version": __version__,
            "key_id": signer.key_id,
            "terms": terms,
            "signature": signer.sign_update(terms),
        },
    )
    log.info("agent_release_signed", version=__version__, sha256=packed.sha256)
    return 1


def ask_share() -> int:
    """Asks for the share of the fleet that is to be updated by itself: always the same devices, and
    more as the share grows. A failed one is left to people."""
    share = settings.DEPLOYX_AGENT_UPDATE_PERCENT
    if not share:
        return 0
    sha256 = wheel.built().sha256
    candidates = outdated(Device.objects.all()).exclude(agent_update__sha256=sha256)
    chosen = [pk for pk in candidates.values_list("pk", flat=True) if _is_among(pk, share)]
    return _ask(chosen[:AT_ONCE], None)


@transaction.atomic
def settle() -> int:
    """Closes what was offered and has come to an end, or to another one; how many that were."""
    ended = [row for row in _locked(status=AgentUpdate.Status.OFFERED) if _ends(row)]
    # A trial says hello before it is known to hold; where it does not, the old version says so.
    since = Now() - WATCHED
    done = _locked(~Q(device__agent_version=F("version")), status="done", ended_at__gt=since)
    ended += [row for row in done if is_older(row.device.agent_version) and _has_failed(row)]
    now = Now()
    for row in ended:
        AgentUpdate.objects.filter(pk=row.pk).update(
            status=row.status, message=row.message, ended_at=now
        )
        log.info("agent_update_ended", device=str(row.pk), status=row.status, why=row.message)
    _give_up_unanswered()
    telling.changed("device", [row.pk for row in ended])
    return len(ended)


# What the hub does.


@transaction.atomic
def offer(sessions: Sequence[Session]) -> tuple[list[Session], protocol.Update | None]:
    """Which of these are offered the update now, and the update: within the pace, the longest
    asked first."""
    sha256 = wheel.built().sha256
    if not AgentUpdate.objects.filter(status__in=["waiting", "offered"], sha256=sha256).exists():
        return [], None
    current = keys.current_row()
    release = AgentRelease.objects.filter(sha256=sha256, key_id=current and current.key_id).first()
    if release is None or not _has_pace() or why_stopped():
        return [], None
    recent = AgentUpdate.objects.filter(offered_at__gt=Now() - timedelta(minutes=1))
    room = settings.DEPLOYX_AGENT_UPDATES_PER_MINUTE - recent.count()
    offered = _offer([one.device for one in sessions], sha256, max(0, room))
    telling.changed("device", offered)
    frame = protocol.Update(release.key_id, bytes(release.terms), bytes(release.signature))
    return [one for one in sessions if one.device in offered], frame


def _offer(devices: list[UUID], sha256: str, room: int) -> set[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(_OFFER, [devices, sha256, MOST_OFFERS, ANSWER_SECONDS, room])
        return {pk for (pk,) in cursor}


def _has_pace() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_PACE])
        ((got,),) = cursor.fetchall()
    return bool(got)


def _ask(devices: list[UUID], user: User | None) -> int:
    with connection.cursor() as cursor:
        sha256 = wheel.built().sha256
        cursor.execute(_ASK, [__version__, sha256, user.pk if user else None, devices])
        asked = [pk for (pk,) in cursor]
    if asked:
        log.info("agent_updates_asked", devices=len(asked), user=user.pk if user else None)
        telling.changed("device", asked)
    return len(asked)


def _is_among(pk: UUID, percent: int) -> bool:
    """The id's last bits are random."""
    return pk.int % 100 < percent


def _locked(*conditions: Q, **fields: object) -> list[AgentUpdate]:
    rows = AgentUpdate.objects.filter(*conditions, **fields).select_related("device")
    return list(rows.select_for_update(of=("self",), skip_locked=True))


def _ends(row: AgentUpdate) -> bool:
    if not is_older(row.device.agent_version):
        row.status = AgentUpdate.Status.DONE
        return True
    return _has_failed(row)


def _has_failed(row: AgentUpdate) -> bool:
    told = row.device.facts.get("update_failed")
    is_of_this = isinstance(told, dict) and told.get("sha256") == row.sha256
    if not is_of_this or told.get("failures") == row.failures_before:
        return False
    row.status, row.message = AgentUpdate.Status.FAILED, facts.one_line(told.get("why"), 500)
    return True


def _give_up_unanswered() -> None:
    silent = AgentUpdate.objects.filter(
        status=AgentUpdate.Status.OFFERED,
        offers__gte=MOST_OFFERS,
        offered_at__lt=Now() - timedelta(seconds=ANSWER_SECONDS),
    )
    silent.update(
        status=AgentUpdate.Status.FAILED,
        ended_at=Now(),
        message=_("It was offered %s times and said nothing.") % MOST_OFFERS,
    )
