"""The machines that somebody let in a moment ago, and whether more are waited for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from accounts import uuid7
from devices.models import Device, EnrollmentToken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.contrib.auth.models import User

LATELY = timedelta(hours=1)
MOST = 5


@dataclass(frozen=True, slots=True)
class Arrivals:
    """`devices`: the newest first; `is_awaited`: whether a token of an hour ago still lets one in."""

    devices: Sequence[Device]
    is_awaited: bool


def of(user: User, *, now: datetime) -> Arrivals:
    """Of this person's own tokens. Two queries, over the ids that were made within LATELY."""
    since = uuid7.earliest(now - LATELY)
    arrived = Device.objects.visible_to(user).present().filter(pk__gte=since)
    mine = EnrollmentToken.objects.visible_to(user).filter(created_by=user)
    usable = mine.filter(pk__gte=since).usable(now)
    devices = arrived.filter(enrolled_with__created_by=user).order_by("-pk")[:MOST]
    return Arrivals(list(devices), usable.exists())
