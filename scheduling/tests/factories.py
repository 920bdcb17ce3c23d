"""Rows for tests, made by the verbs that make them in earnest wherever there is one.

Runs and executions that a test needs in some state are taken there step by step, through the same
transitions the database's triggers hold.
"""

from __future__ import annotations

import itertools
import secrets
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from devices.ledger_port import RunOutput, RunResult, Session
from devices.models import Device, DeviceGroup
from scheduling import drafts, ledger, payloads, progress, schedules
from scheduling.catalogue import software as catalogue
from scheduling.catalogue import uploads
from scheduling.models import DeviceRun, Execution, ScheduledTask, Software, Upload
from scheduling.options import Retry, Rollout

_number = itertools.count(1)
# The way to each state of a run; a cancelled one is cancelled before it started.
WAYS: dict[str, tuple[str, ...]] = {
    "pending": (),
    "queued": ("queued",),
    "claimed": ("queued", "claimed"),
    "running": ("queued", "claimed", "running"),
    "succeeded": ("queued", "claimed", "running", "succeeded"),
    "failed": ("queued", "claimed", "running", "failed"),
    "timed_out": ("queued", "claimed", "running", "timed_out"),
    "killed": ("queued", "claimed", "running", "cancelled"),
    "cancelled": ("cancelled",),
    "rejected": ("queued", "claimed", "rejected"),
    "expired": ("queued", "expired"),
    "skipped": ("skipped",),
    "lost": ("queued", "claimed", "running", "lost"),
}


def person(name: str = "", *, is_administrator: bool = False, **fields: Any) -> User:
    """Somebody who can sign in with the password "password"."""
    make = User.objects.create_superuser if is_administrator else User.objects.create_user
    return make(name or f"person-{next(_number)}", password="password", **fields)


def device(name: str = "", *, online: bool = True, **fields: Any) -> Device:
    """An enrolled device; online, it has a live session."""
    presence: dict[str, Any] = {"is_online": online, "last_seen_at": timezone.now()}
    if online:
        presence |= {"session": uuid.uuid4(), "session_opened_at": timezone.now()}
    return Device.objects.create(
        **{
            "name": name or f"device-{next(_number)}",
            "public_key": secrets.token_bytes(32),
            "os": "linux",
            **presence,
            **fields,
        }
    )


def group(
    name: str = "", *, devices: Iterable[Device] = (), people: Iterable[User] = ()
) -> DeviceGroup:
    made = DeviceGroup.objects.create(name=name or f"group-{next(_number)}")
    made.devices.set(devices)
    made.people.set(people)
    return made


def go_offline(one: Device) -> Device:
    Device.objects.filter(pk=one.pk).update(is_online=False)
    one.refresh_from_db()
    return one


def come_online(one: Device) -> Session:
    """A new live session, as a hello leaves it."""
    Device.objects.filter(pk=one.pk).update(is_online=True, session=uuid.uuid4(), is_ready=True)
    one.refresh_from_db()
    return session_of(one)


def session_of(one: Device) -> Session:
    assert one.session is not None
    return Session(one.pk, one.session)


def definition(
    *, devices: Iterable[Device] = (), groups: Iterable[DeviceGroup] = (), **changes: Any
) -> dict[str, Any]:
    """A valid input for a task: `echo hello`, daily at 02:00 UTC, with `changes`."""
    return {
        "name": "Disk space",
        "task_type": "command",
        "task_payload": {"command": "echo hello"},
        "recurrence_type": "daily",
        "recurrence_config": {"time": "02:00"},
        "device_ids": [str(one.pk) for one in devices],
        "group_ids": [str(one.pk) for one in groups],
        **changes,
    }


def task(
    user: User,
    *,
    devices: Iterable[Device] = (),
    groups: Iterable[DeviceGroup] = (),
    **changes: Any,
) -> ScheduledTask:
    """A planned task, made by `schedules.create`; on a new device where none is named."""
    devices, groups = list(devices), list(groups)
    if not devices and not groups:
        devices = [device()]
    return schedules.create(user, definition(devices=devices, groups=groups, **changes))


def by_hand(user: User, **options: Any) -> ScheduledTask:
    """A task without a time of its own."""
    return task(user, recurrence_type="once", recurrence_config={"run_at": None}, **options)


def software(user: User, **changes: Any) -> Software:
    """An entry of the catalogue, made by `catalogue.software.create`."""
    return catalogue.create(user, {"name": "Tool", "version": "1.0", **changes})


def upload(user: User) -> Upload:
    """A tenth of 700 MiB, whose bytes are nowhere."""
    size, kept_until = 700 * 1024**2, timezone.now() + uploads.LIFE
    return Upload.objects.create(
        user=user, name="image.iso", size=size, received=size // 10, expires_at=kept_until
    )


def make_due(one: ScheduledTask, *, ago: timedelta = timedelta(seconds=5)) -> datetime:
    """Brings the task's next occurrence to `ago` before now; answers its nominal time."""
    moment = timezone.now().replace(microsecond=0) - ago
    ScheduledTask.objects.filter(pk=one.pk).update(
        next_run_time=moment, next_scheduled_for=moment, announced_for=None, announced_at=None
    )
    one.refresh_from_db()
    return moment


def execution(
    one: ScheduledTask, *, status: str = "running", user: User | None = None, **fields: Any
) -> Execution:
    """An execution without runs; an ended one ended through `running` where its state asks so."""
    born = status if status in ("pending", "skipped", "missed") else "running"
    now = timezone.now()
    fields.setdefault("created_at", now)
    nobody = dict.fromkeys(DeviceRun.Status.values, 0)
    fields.setdefault("result", progress.result_of(nobody) if status in Execution.ENDED else {})
    fields.setdefault("open_wave", 1)
    if born == "running":
        fields.setdefault("started_at", now)
    payload = payloads.to_bytes(one.task_payload)
    made = Execution.objects.create(
        **{
            "task": one,
            "task_name": one.name,
            "task_type": one.task_type,
            "user": user or one.user,
            "owner": one.user,
            "trigger": "manual",
            "opened_by": "person",
            "status": born,
            "completed_at": now if born in Execution.ENDED else None,
            "definition": snapshot(one),
            "payload": payload,
            **fields,
        }
    )
    if status != born:
        Execution.objects.filter(pk=made.pk).move(status, completed_at=now)
        made.refresh_from_db()
    return made


def snapshot(one: ScheduledTask) -> dict[str, Any]:
    """What an execution keeps of the task's definition."""
    return {
        "rollout": Rollout.defaults(),
        "retry": Retry.defaults(),
        **{name: getattr(one, name) for name in drafts.SNAPSHOT},
    }


def run(
    of: Execution, on: Device | None = None, *, status: str = "pending", **fields: Any
) -> DeviceRun:
    """A run of this execution on this device (a new one where none is named), in this state.

    `status` may also be "killed": cancelled after it had started.
    """
    on = on or device()
    made = DeviceRun.objects.create(
        execution=of, task_id=of.task_id, device=on, device_name=on.name
    )
    for step in WAYS[status]:
        DeviceRun.objects.filter(pk=made.pk).move(step, **_changes(step, on))
    if fields:
        DeviceRun.objects.filter(pk=made.pk).update(**fields)
    made.refresh_from_db()
    return made


def _changes(step: str, on: Device) -> dict[str, Any]:
    now = timezone.now()
    if step == "queued":
        times = {"queued_at": now, "not_after": now + timedelta(days=1)}
        return {**times, "has_slot": True, "terms": b"terms", "signature": b"signature"}
    if step == "claimed":
        return {"claimed_at": now, "claim_session": on.session}
    if step == "running":
        return {"started_at": now, "deadline_at": now + timedelta(hours=1)}
    return {"finished_at": now, **({"was_lost": True} if step == "lost" else {})}


def result_of(one: DeviceRun, outcome: str = "succeeded", **fields: Any) -> RunResult:
    """What the run's own device reports of it."""
    assert one.device_id is not None
    given = {"exit_code": 0 if outcome == "succeeded" else 1, "detail": {"summary": "exit code"}}
    return RunResult(
        **{
            "device": one.device_id,
            "run": one.pk,
            "outcome": outcome,
            "output_length": 0,
            "output_sha256": "",
            **given,
            **fields,
        }
    )


def write_output(one: DeviceRun, data: bytes, *, stream: str = "stdout") -> None:
    """Appends to the run's output as its device does."""
    one.refresh_from_db()
    assert one.device_id is not None
    ledger.output([RunOutput(one.device_id, one.pk, one.output_next, stream, data)])
    one.refresh_from_db()


def carry_out(one: DeviceRun, outcome: str = "succeeded", *, output: bytes = b"") -> DeviceRun:
    """Takes a queued run through claim, start and result, as its device does."""
    assert one.device is not None
    session = session_of(one.device)
    ledger.claim([session])
    ledger.start([(session, one.pk)])
    if output:
        write_output(one, output)
    ledger.results([result_of(one, outcome, output_length=len(output))])
    one.refresh_from_db()
    return one


def moment(text: str) -> datetime:
    """An instant in UTC from ISO 8601 without an offset."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fall_behind(
    one: ScheduledTask, missed: int, *, ago: timedelta, every: timedelta = timedelta(minutes=10)
) -> list[datetime]:
    """Makes the task one that runs at every `every`, with so many due occurrences unopened, the
    latest of them `ago` before now; answers their nominal times."""
    latest = timezone.now().replace(microsecond=0) - ago
    moments = [latest - every * number for number in reversed(range(missed))]
    ScheduledTask.objects.filter(pk=one.pk).update(
        recurrence_type="interval",
        recurrence_config={"every": int(every.total_seconds()), "unit": "seconds"},
        created_at=moments[0] - every,
        next_scheduled_for=moments[0],
        next_run_time=moments[0],
    )
    one.refresh_from_db()
    return moments
