"""A device's one live session, kept in its row: whoever wrote it last has fenced all others."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now
from psycopg.types.json import Jsonb

from accounts import telling
from devices.agent import protocol
from devices.facts import described, one_line, storable
from devices.ledger_port import Session
from devices.models import Device

CONTEST_EVERY = timedelta(minutes=1)
# Rows are locked in the order of their ids, as everywhere, so that two hubs cannot deadlock.
_ADMIT = """
    UPDATE devices_device AS device
    SET session = new.session, session_opened_at = statement_timestamp(),
        last_seen_at = statement_timestamp(), is_online = true, is_ready = true,
        online_changed_at =
            CASE WHEN old.is_online THEN device.online_changed_at ELSE statement_timestamp() END,
        booted_at = CASE WHEN device.facts->'boot_id' IS DISTINCT FROM new.facts->'boot_id'
            THEN statement_timestamp() ELSE device.booted_at END,
        agent_version = new.agent_version, hostname = new.hostname, os = new.os,
        architecture = new.architecture, facts = new.facts
    FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::jsonb[])
            AS new(id, session, agent_version, hostname, os, architecture, facts),
        (SELECT id, is_online FROM devices_device
         WHERE id = ANY(%s) AND revoked_at IS NULL ORDER BY id FOR NO KEY UPDATE) AS old
    WHERE device.id = new.id AND device.id = old.id
    RETURNING device.id, old.is_online, device.in_recovery
"""
_LAPSED = """
    SELECT held.id, held.session, device.id IS NULL OR device.revoked_at IS NOT NULL
    FROM unnest(%s::uuid[], %s::uuid[]) AS held(id, session)
    LEFT JOIN devices_device AS device ON device.id = held.id
    WHERE device.session IS DISTINCT FROM held.session OR device.revoked_at IS NOT NULL
"""
_DESCRIBE = """
    UPDATE devices_device AS device
    SET hostname = new.hostname, os = new.os, architecture = new.architecture, facts = new.facts
    FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::jsonb[])
            AS new(id, hostname, os, architecture, facts)
    WHERE device.id = new.id
"""


@dataclass(frozen=True, slots=True)
class Opening:
    """A hello to be judged; `signed` are the bytes its signature must be over."""

    session: Session
    signed: bytes
    signature: bytes
    agent_version: str
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Admission:
    """`refused_with` is the close code, None for the device's new live session; one in recovery is
    asked for its runs before it is welcomed."""

    session: Session
    refused_with: int | None
    came_online: bool = False
    in_recovery: bool = False


@dataclass(frozen=True, slots=True)
class Lapsed:
    """A session that is no longer its device's; revoked covers deleted."""

    session: Session
    is_revoked: bool


def admit(openings: Sequence[Opening]) -> list[Admission]:
    """Judges hellos and writes the sessions of the genuine ones, in one UPDATE.
    Of two genuine ones of one device, the later wins."""
    keys = dict(
        Device.objects.filter(pk__in={one.session.device for one in openings}).values_list(
            "pk", "public_key"
        )
    )
    genuine: dict[UUID, Opening] = {}
    answers: list[Admission] = []
    for opening in openings:
        device = opening.session.device
        key = keys.get(device)
        if key is None or not protocol.verify(bytes(key), opening.signature, opening.signed):
            answers.append(Admission(opening.session, protocol.CLOSE_NOT_AUTHENTICATED))
            continue
        if device in genuine:
            answers.append(Admission(genuine[device].session, protocol.CLOSE_FENCED))
        genuine[device] = opening
    return answers + _write(list(genuine.values()))


def lapsed(sessions: Sequence[Session]) -> list[Lapsed]:
    """Those of these sessions that another session, a revocation or a deletion has ended."""
    with connection.cursor() as cursor:
        cursor.execute(_LAPSED, [[s.device for s in sessions], [s.session for s in sessions]])
        return [Lapsed(Session(device, held), revoked) for device, held, revoked in cursor]


def describe(facts: dict[UUID, dict[str, Any]]) -> None:
    """Stores what devices said of themselves anew."""
    words = [described(one) for one in facts.values()]
    with connection.cursor() as cursor:
        cursor.execute(
            _DESCRIBE,
            [
                list(facts),
                [one.hostname for one in words],
                [one.os for one in words],
                [one.architecture for one in words],
                [Jsonb(storable(one)) for one in facts.values()],
            ],
        )


def set_ready(session: Session, is_ready: bool) -> None:
    """Whether this session takes new runs; another session's word is not overwritten."""
    Device.objects.filter(pk=session.device, session=session.session).update(is_ready=is_ready)


def note_contested(devices: Collection[UUID]) -> None:
    """These devices' sessions fence each other: two machines use one identity."""
    told = Device.objects.filter(pk__in=devices, revoked_at=None)
    stale = Q(contested_at=None) | Q(contested_at__lt=Now() - CONTEST_EVERY)
    noted = list(told.filter(stale).values_list("pk", flat=True))
    if noted:
        Device.objects.filter(pk__in=noted).update(contested_at=Now())
        telling.changed("device", noted)


def _write(openings: list[Opening]) -> list[Admission]:
    if not openings:
        return []
    words = [described(one.facts) for one in openings]
    ids = [one.session.device for one in openings]
    with connection.cursor() as cursor:
        cursor.execute(
            _ADMIT,
            [
                ids,
                [one.session.session for one in openings],
                [one_line(one.agent_version, 50) for one in openings],
                [one.hostname for one in words],
                [one.os for one in words],
                [one.architecture for one in words],
                [Jsonb(storable(one.facts)) for one in openings],
                ids,
            ],
        )
        admitted = {
            device: (not was_online, in_recovery)
            for device, was_online, in_recovery in cursor.fetchall()
        }
    return [
        Admission(one.session, None, *admitted[one.session.device])
        if one.session.device in admitted
        else Admission(one.session, protocol.CLOSE_REVOKED)
        for one in openings
    ]
