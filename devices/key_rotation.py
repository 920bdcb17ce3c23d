"""Another signing key takes the place of the current one, at one moment for everybody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog
from django.db import OperationalError, transaction
from django.utils import timezone

from devices import key_files, keys
from devices.keys import Signer
from devices.models import ServerKey

log = structlog.get_logger(__name__)
TRIES = 5
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Handover:
    old: Signer
    new: Signer


def rotate(
    prepare: Callable[[Handover], None], carry_over: Callable[[Handover], T]
) -> tuple[Handover, T]:
    """Makes a new key, signed by the old one, the current one. `carry_over` brings along what was
    signed by the old; it runs in the transaction of the switch, while nobody can sign, and perhaps
    more than once. What it can do beforehand is for `prepare`. Raises SigningKeyError.

    Broken off at any point, one of the two is the current key for everybody, its private half is
    in one of the two files, and a repeat goes on from there.
    """
    with key_files.held():
        keys.end_rotation()
        old = keys.current_signer()
        key_files.write_new(key_files.successor())
        handover = Handover(old, keys.signer_of(key_files.read(key_files.successor())))
        prepare(handover)
        carried = _switch(handover, carry_over)
        key_files.succeed()
    log.info("signing_key_rotated", old=handover.old.key_id, new=handover.new.key_id)
    return handover, carried


def _switch(handover: Handover, carry_over: Callable[[Handover], T]) -> T:
    for tries_left in reversed(range(TRIES)):
        try:
            with transaction.atomic():
                keys.lock_out_signers()
                carried = carry_over(handover)
                _register(handover)
                return carried
        except OperationalError as error:
            # A claim came to hold what the other wanted; PostgreSQL ended one of the two.
            if not tries_left:
                raise
            log.warning("rotation_tried_again", why=str(error).partition("\n")[0])
    raise AssertionError("unreachable")


def _register(handover: Handover) -> None:
    current = ServerKey.objects.select_for_update().get(key_id=handover.old.key_id, retired_at=None)
    current.retired_at = timezone.now()
    current.save(update_fields=["retired_at"])
    public_key = handover.new.public_key
    ServerKey.objects.create(
        key_id=handover.new.key_id,
        public_key=public_key,
        previous=current,
        signature=handover.old.hand_over_to(public_key),
    )
