"""A small company's installation with three weeks behind it, to be looked at in pictures."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from accounts import tokens
from accounts.models import ApiToken
from accounts.uuid7 import uuid7
from devices import enrollment, keys
from devices.models import Device, DeviceGroup, EnrollmentToken
from scheduling import heartbeats, inventory, progress, schedules, templates
from scheduling.catalogue import files
from scheduling.models import (
    DeviceRun,
    Execution,
    ScheduledTask,
    ServiceHeartbeat,
    Software,
    StoredFile,
    TaskTemplate,
    Upload,
)
from scheduling.tests import factories

if TYPE_CHECKING:
    from django.contrib.auth.models import User

DAYS = 21
ZONE = "Europe/Berlin"
DISKS = """Filesystem      Size  Used Avail Use% Mounted on
/dev/nvme0n1p2  234G  {used}G  {left}G  {percent}% /
tmpfs           7.8G  1.2M  7.8G   1% /run
"""
ODD = """Filesystem      Size  Used Avail Use% Mounted on
/dev/sda1        58G   57G  1.1G  98% /
df: /mnt/backup: Stale file handle
"""


@dataclass(slots=True)
class Fleet:
    web: DeviceGroup
    databases: DeviceGroup
    kiosks: DeviceGroup

    @property
    def devices(self) -> list[Device]:
        return [one for group in (self.web, self.databases, self.kiosks) for one in of(group)]


@dataclass(slots=True, kw_only=True)
class Showcase:
    """`spare` is a file that nothing uses; `deployed` has put files on devices that keep the old ones."""

    fleet: Fleet
    tasks: list[ScheduledTask]
    running: Execution
    run: DeviceRun
    ended: Execution
    odd: DeviceRun
    deployed: Execution
    file: StoredFile
    spare: StoredFile
    upload: Upload
    entry: Software
    template: TaskTemplate
    token: ApiToken
    machine: EnrollmentToken


def of(group: DeviceGroup) -> list[Device]:
    return list(group.devices.order_by("name"))


def build(admin: User) -> Showcase:
    chance = random.Random(7)
    keys.ensure_key()
    _is_well()
    fleet = _fleet(factories.person("anna"))
    tasks = _tasks(admin, fleet)
    _history(tasks, chance)
    running, run = _rollout(tasks[0], fleet)
    ended, odd = _differing(tasks[0], fleet)
    file, spare = _files(admin)
    return Showcase(
        fleet=fleet,
        tasks=tasks,
        running=running,
        run=run,
        ended=ended,
        odd=odd,
        deployed=_deployed(admin, fleet, file),
        file=file,
        spare=spare,
        upload=factories.upload(admin),
        entry=_software(admin, fleet),
        template=templates.create(admin, {"name": "Nightly check", **templates.of_task(tasks[0])}),
        token=tokens.issue(admin, "Monitoring", ["tasks:read"])[0],
        machine=enrollment.issue(fleet.kiosks, created_by=admin, name="New kiosks")[0],
    )


def _is_well() -> None:
    """Every program of the system was heard of, and goes on being."""
    for kind in ("web", "worker", "beat"):
        heartbeats.record(kind, f"{kind}-1")
    ServiceHeartbeat.objects.update(seen_at=timezone.now() + timedelta(hours=1))


def _fleet(person: User) -> Fleet:
    def group(name: str, prefix: str, number: int, site: str) -> DeviceGroup:
        made = [_device(f"{prefix}-{one}", site, away=one == 4) for one in range(1, number + 1)]
        return factories.group(name, devices=made, people=[person])

    return Fleet(
        group("Web servers", "web", 6, "berlin"),
        group("Databases", "db", 3, "berlin"),
        group("Kiosks", "kiosk", 12, "hamburg"),
    )


def _device(name: str, site: str, *, away: bool) -> Device:
    facts = {"hostname": name, "distribution": "Debian 12", "cpus": 8, "memory_mb": 16_384}
    return factories.device(
        name,
        online=not away,
        hostname=name,
        architecture="amd64",
        agent_version="1.0",
        tags={"site": site},
        facts=facts,
    )


def _tasks(admin: User, fleet: Fleet) -> list[ScheduledTask]:
    def task(
        name: str, command: str, group: DeviceGroup, kind: str, **config: Any
    ) -> ScheduledTask:
        return factories.task(
            admin,
            name=name,
            groups=[group],
            time_zone=ZONE,
            task_payload={"command": command},
            recurrence_type=kind,
            recurrence_config=config,
        )

    found = [
        task("Disk space", "df -h", fleet.web, "daily", time="02:00"),
        task("Back up databases", "pg_dumpall | zstd", fleet.databases, "daily", time="01:30"),
        task(
            "Restart kiosks", "systemctl reboot", fleet.kiosks, "weekly",
            time="03:30", days_of_week=[6],
        ),
        task("Certificates", "certbot renew", fleet.web, "interval", every=6, unit="hours"),
        task(
            "Security updates", "apt-get upgrade --yes", fleet.kiosks, "monthly",
            time="04:00", nth=2, weekday=1,
        ),
        task("Clean caches", "fstrim --all", fleet.databases, "custom", cron_expression="0 5 * * 1-5"),
    ]  # fmt: skip
    schedules.pause(found[4], admin)
    return found


def _history(tasks: Sequence[ScheduledTask], chance: random.Random) -> None:
    """One execution of each a day, a few of them failed, each a little longer than the one before."""
    now = timezone.now()
    past = [
        (now - timedelta(days=day, hours=chance.randrange(3)), place, day)
        for place, _ in enumerate(tasks)
        for day in range(DAYS, 0, -1)
    ]
    for began, place, day in sorted(past):  # the order of their ids is the order of the history
        status = "failed" if chance.random() < 0.08 else "success"
        _past(tasks[place], status, began, 40 + DAYS - day + chance.randrange(12))
        ScheduledTask.objects.filter(pk=tasks[place].pk).update(
            last_run_time=began, last_execution_status=status, execution_count=DAYS
        )


def _past(task: ScheduledTask, status: str, began: datetime, seconds: int) -> None:
    went_well = status == "success"
    counts = {**dict.fromkeys(DeviceRun.Status.values, 0), "succeeded": 5}
    counts["succeeded" if went_well else "failed"] += 1
    made = factories.execution(task, status=status, created_at=began, started_at=began)
    Execution.objects.filter(pk=made.pk).update(
        completed_at=began + timedelta(seconds=seconds),
        result=progress.result_of(counts),
        scheduled_for=began,
        trigger="schedule",
        opened_by="beat",
    )


def _rollout(task: ScheduledTask, fleet: Fleet) -> tuple[Execution, DeviceRun]:
    """In its second wave, with something to see on every device."""
    execution = factories.execution(task, open_wave=2)
    devices = fleet.devices
    for device in devices[:6]:
        _wrote(execution, device, _disks(48))
    factories.run(execution, devices[6], status="failed", wave=2, exit_code=1)
    run = factories.run(execution, devices[7], status="running", wave=2)
    factories.write_output(run, _disks(71))
    for device in devices[8:12]:
        factories.run(execution, device, status="running", wave=2)
    for device in devices[12:]:
        factories.run(execution, device, status="pending", wave=3)
    return execution, run


def _differing(task: ScheduledTask, fleet: Fleet) -> tuple[Execution, DeviceRun]:
    """One that has ended, on all devices but one the same."""
    execution = factories.execution(task)
    devices = fleet.devices
    for device in devices[:5]:
        _wrote(execution, device, _disks(48))
    odd = _wrote(execution, devices[5], ODD.encode())
    factories.run(execution, devices[6], status="failed", exit_code=1)
    _end(execution)
    return execution, odd


def _wrote(execution: Execution, device: Device, output: bytes) -> DeviceRun:
    factories.come_online(device)
    device.refresh_from_db()
    run = factories.carry_out(factories.run(execution, device, status="queued"), output=output)
    digest = hashlib.sha256(output).hexdigest()
    DeviceRun.objects.filter(pk=run.pk).update(output_sha256=digest)
    return run


def _disks(percent: int) -> bytes:
    used = 234 * percent // 100
    return DISKS.format(used=used, left=234 - used, percent=percent).encode()


def _end(execution: Execution, status: str = "partial") -> None:
    statuses: Sequence[str] = list(execution.runs.values_list("status", flat=True))
    counts = {one: statuses.count(one) for one in DeviceRun.Status.values}
    now = timezone.now()
    Execution.objects.filter(pk=execution.pk).move(
        status, completed_at=now, result=progress.result_of(counts)
    )


def _files(admin: User) -> tuple[StoredFile, StoredFile]:
    wanted = {"name": "motd", "description": "What people read when they sign in"}
    spare = {"name": "issue", "description": "What people read before they sign in"}
    return (
        files.create(admin, wanted, iter([b"Welcome.\n"]), 9),
        files.create(admin, spare, iter([b"Private.\n"]), 9),
    )


def _deployed(admin: User, fleet: Fleet, file: StoredFile) -> Execution:
    """A file that has taken another's place on each kiosk."""
    task = factories.by_hand(
        admin,
        name="Message of the day",
        groups=[fleet.kiosks],
        task_type="file_deployment",
        task_payload={"file_ids": [str(file.pk)], "target_path": "/etc/motd"},
    )
    execution = factories.execution(task)
    for device in of(fleet.kiosks):
        factories.run(execution, device, status="succeeded")
    steps = [{"path": "/etc/motd", "state": "replaced"}]
    said = {"summary": "1 file", "changed": True, "steps": steps, "kept": ["/etc/motd"]}
    execution.runs.update(detail=said)
    _end(execution, "success")
    return execution


def _software(admin: User, fleet: Fleet) -> Software:
    package = files.create(admin, {"name": "browser_128.0_amd64.deb"}, iter([b"!<arch>"]), 7)
    deb = {
        "os": "linux",
        "format": "deb",
        "file_id": str(package.pk),
        "detect_command": "browser -v",
    }
    entry = factories.software(
        admin, name="Browser", version="128.0", publisher="Example Ltd", category="Office",
        sources=[deb],
    )  # fmt: skip
    for device in of(fleet.kiosks)[:5]:
        said = {"installed": [{"name": "Browser", "version": "128.0"}]}
        inventory.note(device.pk, uuid7(), said, timezone.now())
    return entry
