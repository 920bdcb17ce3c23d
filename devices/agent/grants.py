"""Whether this device may run what it is granted: decided before anything is written down."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass, replace
from datetime import datetime

from . import kinds, policy
from .config import Settings, StateDir
from .identity import Server
from .journal import Horizon
from .kinds import JsonObject, Kind, PayloadError, UnknownKind
from .protocol import (
    Grant,
    ProtocolError,
    RejectCode,
    Terms,
    parse_object,
    parse_terms,
    run_bytes,
    verify,
)


class Refused(Exception):
    """The run must not run here; `code` and `detail` are what the server is told."""

    def __init__(self, code: RejectCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail[:2_000]


@dataclass(frozen=True, slots=True)
class Order:
    """A verified run: its signed terms and its parsed payload."""

    terms: Terms
    payload: JsonObject

    @property
    def run_as(self) -> str | None:
        return self.terms.run_as


def check(
    grant: Grant,
    server: Server | None,
    settings: Settings,
    state: StateDir,
    now: datetime,
    forgotten: Horizon | None = None,
) -> Order:
    """The grant's order. Raises Refused. `server` is None when its keys are not trusted; `now`
    is the server's own time; `forgotten` is up to where runs were that nobody here remembers."""
    if server is None or grant.key_id != server.key_id:
        raise Refused(RejectCode.BAD_SIGNATURE, f"key {grant.key_id} is not trusted here")
    if not verify(server.public_key, grant.signature, run_bytes(grant.terms)):
        raise Refused(RejectCode.BAD_SIGNATURE, "the signature is not over these terms")
    terms = _read_terms(grant.terms)
    if (terms.server_id, terms.device, terms.run) != (
        server.server_id,
        server.device_id,
        grant.run,
    ):
        raise Refused(RejectCode.BAD_SIGNATURE, "the terms are for another run, device or server")
    if hashlib.sha256(grant.payload).hexdigest() != terms.payload_sha256:
        raise Refused(RejectCode.DIGEST_MISMATCH, "the payload is not the one that was signed")
    if now > terms.not_after:
        raise Refused(RejectCode.TOO_LATE, "the run came after its last permitted start")
    if forgotten is not None and forgotten.covers(terms):
        said = "the run may have been here before: the server's time was further than it is now"
        raise Refused(RejectCode.TOO_LATE, said)
    order = read_order(terms, grant.payload)
    _check_here(order, settings, state)
    return order


def read_order(terms: Terms, payload: bytes) -> Order:
    """The meaning of bytes that were verified, now or before a restart. Raises Refused."""
    kind = _kind(terms.kind)
    try:
        parsed = kind.accept(parse_object(payload))
    except (PayloadError, ProtocolError) as problem:
        # Correctly signed, but by a server whose idea of this kind is not ours.
        raise Refused(RejectCode.UNKNOWN_KIND, f"{terms.kind}: {problem}") from None
    if kind.requires(parsed).run_as not in (None, terms.run_as):
        raise Refused(RejectCode.DIGEST_MISMATCH, "run_as is not the one that was signed")
    return Order(terms, parsed)


def _check_here(order: Order, settings: Settings, state: StateDir) -> None:
    terms = order.terms
    needs = _kind(terms.kind).requires(order.payload)
    rules = policy.load(settings)
    for account in {needs.run_as, terms.run_as} - {None} or {None}:
        wanted = replace(needs, run_as=account)
        if objection := rules.objection(terms.kind, terms.timeout_seconds, wanted):
            raise Refused(RejectCode.POLICY, objection)
    if shutil.disk_usage(os.fspath(state.path)).free < settings.min_free_bytes:
        raise Refused(RejectCode.DISK_FULL, "there is not enough room on the device's disk")


def _kind(name: str) -> Kind:
    try:
        return kinds.get(name)
    except UnknownKind:
        raise Refused(RejectCode.UNKNOWN_KIND, f"this agent knows no kind {name}") from None


def _read_terms(data: bytes) -> Terms:
    try:
        return parse_terms(data)
    except ProtocolError as problem:
        # Correctly signed: a newer server's, with a condition this agent does not know.
        raise Refused(RejectCode.UNKNOWN_KIND, f"the terms cannot be read: {problem}") from None
