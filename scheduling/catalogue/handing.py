"""What a device may fetch for a run: the bytes are held for the execution, and given out by an
address that is signed, bound to one device and one run, and soon over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from devices.agent import protocol
from devices.ledger_port import RunFetch, RunSource, RunStop
from devices.models import Device
from scheduling import lost_kinds, payloads, release
from scheduling.models import Blob, DeviceRun, Execution, ExecutionBlob, SoftwareSource

PATH = "/agent/files/"
LIFE = timedelta(minutes=15)
LEAST_RATE = 64 * 1024
_SALT = "deployx.agent-files"


class Refused(Exception):
    """The address gives nothing; the text says why, for the device's log."""


@dataclass(frozen=True, slots=True)
class Handout:
    """What an address stands for. `rate`: bytes a second, 0 for no limit."""

    device: UUID
    run: UUID
    sha256: str
    rate: int


def hold(execution: Execution) -> str:
    """Keeps the bytes that the execution's devices may fetch, and the addresses of those that lie
    elsewhere; answers why it cannot open, or nothing. The execution is stored already, in the
    caller's transaction."""
    wanted = set(_files(execution))
    if not wanted:
        return ""
    if len(wanted) > protocol.MAX_FILES:
        return _("It needs over %s files.") % protocol.MAX_FILES
    held = set(
        Blob.objects.select_for_update(no_key=True)
        .filter(pk__in=wanted)
        .values_list("pk", flat=True)
    )
    elsewhere = wanted - held
    # What the execution brings is its original's: a retry goes on where the catalogue has moved on.
    known = {**execution.file_addresses, **_addresses(elsewhere)}
    if elsewhere - known.keys():
        return _("A file it needs is no longer stored.")
    ExecutionBlob.objects.bulk_create(
        [ExecutionBlob(execution=execution, blob_id=sha256) for sha256 in sorted(held)],
        ignore_conflicts=True,
    )
    if elsewhere:
        execution.file_addresses = {sha256: known[sha256] for sha256 in sorted(elsewhere)}
        execution.save(update_fields=["file_addresses"])
    return ""


def fetch(fetches: Sequence[RunFetch]) -> list[RunSource | RunStop]:
    """For each file asked for: an address, or why there is none."""
    return [_source(one) for one in fetches]


def redeem(token: str, signature: bytes) -> Handout:
    """What an address stands for, if the device it was given to asks, in time, and the run is still
    under way. `signature` is the device's, over `protocol.fetch_bytes(path)`. Raises Refused."""
    try:
        data = signing.TimestampSigner(salt=_SALT).unsign_object(token, max_age=LIFE)
        device_id, run_id, sha256 = UUID(data["d"]), UUID(data["r"]), str(data["s"])
    except signing.SignatureExpired:
        raise Refused("the address has expired") from None
    except (signing.BadSignature, KeyError, TypeError, ValueError):
        raise Refused("not an address of this server") from None
    device = Device.objects.present().filter(pk=device_id).only("public_key").first()
    if device is None:
        raise Refused("the device is gone or revoked")
    if not protocol.verify(bytes(device.public_key), signature, protocol.fetch_bytes(PATH + token)):
        raise Refused("the address was given to another device")
    run = _run(device_id, run_id)
    if run is None:
        raise Refused("the run is over")
    return Handout(device_id, run_id, sha256, _rate(run))


def _source(wanted: RunFetch) -> RunSource | RunStop:
    run = _run(wanted.device, wanted.run)
    if run is None or wanted.sha256 not in _files(run.execution, run):
        return RunStop(wanted.device, wanted.run, "unknown")
    expires_at = datetime.now(UTC) + LIFE
    if not Blob.objects.filter(pk=wanted.sha256).exists():
        url = run.execution.file_addresses.get(wanted.sha256)
        if not url:
            return RunStop(wanted.device, wanted.run, "unknown")
        return RunSource(wanted.device, wanted.run, wanted.sha256, url, expires_at)
    return RunSource(wanted.device, wanted.run, wanted.sha256, PATH + _token(wanted), expires_at)


def _run(device: UUID, run: UUID) -> DeviceRun | None:
    """The device's own run, while files may be fetched for it."""
    rows = DeviceRun.objects.filter(pk=run, device=device, status="running")
    return rows.select_related("execution").filter(device__revoked_at=None).first()


def _files(execution: Execution, run: DeviceRun | None = None) -> tuple[str, ...]:
    data = (
        execution.rollback_payload if run is not None and run.rolls_back_id else execution.payload
    )
    order: Any = payloads.from_bytes(bytes(data or b"{}"))
    kind = lost_kinds.find(execution.task_type)
    return kind.files(order) if kind else ()


def _token(wanted: RunFetch) -> str:
    data = {"d": str(wanted.device), "r": str(wanted.run), "s": wanted.sha256}
    return signing.TimestampSigner(salt=_SALT).sign_object(data)


def _rate(run: DeviceRun) -> int:
    """Bytes a second for what is asked for now: its share of what the device may take, beside the
    other runs there that fetch, and of what the rollout may, beside all that are let go."""
    limits = []
    if most := settings.DEPLOYX_DOWNLOAD_BYTES_PER_SECOND:
        beside = DeviceRun.objects.filter(device=run.device_id, status="running")
        held = ExecutionBlob.objects.filter(execution=OuterRef("execution"))
        limits.append(_share(most, beside.filter(Exists(held)).count()))
    if most := settings.DEPLOYX_ROLLOUT_BYTES_PER_SECOND:
        limits.append(_share(most, release.used_slots(run.execution)))
    return min(limits, default=0)


def _share(limit: int, among: int) -> int:
    return max(limit // max(among, 1), min(limit, LEAST_RATE))


def _addresses(digests: set[str]) -> dict[str, str]:
    """Those that a source of the catalogue names, by digest; the one written last counts."""
    rows = SoftwareSource.objects.filter(sha256__in=digests).exclude(url="").order_by("id")
    return dict(rows.values_list("sha256", "url"))
