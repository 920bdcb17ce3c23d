"""Devices for simulated agents, written as enrolment leaves them, without its 10,000 requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID, uuid4

import psycopg

from devices.agent import protocol

_COPY = """
COPY devices_device (id, name, hostname, os, architecture, agent_version, public_key, tags, facts,
                     enrolled_at, is_online, is_ready, in_recovery)
FROM STDIN
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """A device's id and its private key."""

    id: str
    private_key: bytes = field(repr=False)


def enlist(database_url: str, number: int, name: str = "simulated") -> list[Identity]:
    """So many new devices, named `name`-00000 and on; offline until an agent of theirs connects."""
    identities = [Identity(str(uuid4()), protocol.new_private_key()) for _ in range(number)]
    with (
        psycopg.connect(database_url) as connection,
        connection.cursor() as cursor,
        cursor.copy(_COPY) as copy,
    ):
        for place, one in enumerate(identities):
            key = protocol.public_key_of(one.private_key)
            copy.write_row(
                (UUID(one.id), f"{name}-{place:05d}", "", "linux", "amd64", "", key, "{}", "{}",
                 "now", False, True, False)
            )  # fmt: skip
    return identities
