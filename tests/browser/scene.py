"""A little of everything, so that every page of ours has something on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils import timezone

from accounts import tokens
from accounts.uuid7 import uuid7
from devices import enrollment, keys
from devices.agent import kinds
from devices.models import Device, DeviceGroup
from scheduling import alarms, inventory, templates
from scheduling.catalogue import files
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.tests import factories
from scheduling.tests.test_alike import wrote
from scheduling.views.bulk import VERBS

if TYPE_CHECKING:
    from django.contrib.auth.models import User

# Names of our URLs that are no pages: what only takes a POST, answers a part of a page, or a machine.
NO_PAGES = {
    "agent-install-script",
    "agent-wheel",
    "catalogue-picker",
    "device-update-agent",
    "execution-output",
    "file-content",
    "group-devices",
    "group-people",
    "group-preview",
    "rollout-pause",
    "rollout-promote",
    "rollout-resume",
    "run-output",
    "system-health",
    "task-execute",
    "task-needing",
    "task-pause",
    "task-preview",
    "task-resume",
    "task-targets",
}


def addresses(admin: User, web_group: DeviceGroup, web_device: Device) -> list[str]:
    """The address of every page of ours, each with something on it."""
    keys.ensure_key()
    machine, _text = enrollment.issue(web_group, created_by=admin, name="a kiosk")
    token, _key = tokens.issue(admin, "laptop", ["tasks:read"])
    factories.device("away", online=False)
    Device.objects.update(in_recovery=True)
    first = factories.by_hand(admin, groups=[web_group], name="First")
    task = factories.task(
        admin,
        groups=[web_group],
        depends_on=[{"task_id": str(first.pk), "on": "failure"}],
        tags=["daily"],
        description="What it is for",
        time_zone="Asia/Tokyo",
    )
    after = [{"task_id": str(task.pk), "on": "success"}]
    factories.by_hand(admin, groups=[web_group], name="Last", depends_on=after)
    execution = factories.execution(task)
    run = factories.run(execution, web_device, status="running")
    for status in ("succeeded", "failed", "queued", "skipped", "lost"):
        factories.run(execution, status=status)
    factories.write_output(run, b"some output\n")
    alarms.unknown_runs(web_device, [execution.pk])
    factories.execution(task, status="skipped", error_message="Nobody was there.")
    of_catalogue = _of_the_catalogue(admin, web_group, web_device)
    template = templates.create(admin, {"name": "Daily", **templates.of_task(task)})
    parts = ("", "edit", "delete", "changes", "template")
    of_task = [
        *(f"/tasks/{task.pk}/{part}" for part in parts),
        *(f"/tasks/bulk/{one}?task={task.pk}" for one in (*VERBS, "edit", "reschedule")),
        f"/tasks/new?template={template.pk}",
        f"/settings/templates/{template.pk}/",
        f"/settings/templates/{template.pk}/delete",
    ]
    of_execution = [
        f"/executions/{execution.pk}/{part}" for part in ("", "cancel", "abort", "retry")
    ]
    of_run = [
        f"/runs/{run.pk}/cancel",
        *_of_a_rollout(task),
        _of_outputs_that_differ(task),
    ]
    of_device = [f"/devices/{web_device.pk}/{part}" for part in ("", "edit", "revoke", "delete")]
    of_group = [f"/groups/{web_group.pk}/{part}" for part in ("", "edit", "delete")]
    lists = ["/", "/tasks/", "/tasks/new", "/executions/", "/devices/", "/devices/new", "/groups/"]
    others = [
        "/health/",
        "/groups/new",
        "/calendar/",
        "/calendar/?view=week",
        "/calendar/?view=day",
        "/commands/",
        *(f"/deploy/{kind.name}/" for kind in kinds.every()),
        "/settings/templates/",
        "/settings/tokens/",
        f"/settings/tokens/{token.pk}/revoke",
        f"/devices/tokens/{machine.pk}/revoke",
        "/accounts/password/change/",
        "/accounts/logout/",
        "/api/",
        "/api/schedule/tasks",
        f"/api/schedule/tasks/{task.pk}",
    ]
    of_work = [*of_task, *of_execution, *of_run, *of_catalogue]
    return [*lists, *of_work, *of_device, *of_group, *others]


def _of_the_catalogue(admin: User, group: DeviceGroup, device: Device) -> list[str]:
    """A file and a software in use, and a deployment of each that has ended on the device."""
    file = files.create(admin, {"name": "motd", "description": "Hi"}, iter([b"hello"]), 5)
    spare = files.create(admin, {"name": "spare"}, iter([b"spare"]), 5)
    deb = {"os": "linux", "format": "deb", "file_id": str(file.pk), "detect_command": "tool -v"}
    needed = factories.software(admin, name="Library")
    entry = factories.software(
        admin, sources=[deb], category="Office", dependency_ids=[str(needed.pk)]
    )
    said = {"installed": [{"name": "Tool", "version": "1.0"}]}
    inventory.note(device.pk, uuid7(), said, timezone.now())
    payload = {"file_ids": [str(file.pk)], "target_path": "/etc/motd"}
    task = factories.task(admin, groups=[group], task_type="file_deployment", task_payload=payload)
    execution = factories.execution(task)
    run = factories.run(execution, device, status="succeeded")
    steps = [{"path": "/etc/motd", "state": "replaced"}, {"software": "x", "reboot_required": True}]
    said = {"summary": "done", "changed": True, "steps": steps, "reboot_required": True}
    DeviceRun.objects.filter(pk=run.pk).update(detail={**said, "kept": ["/etc/motd"]})
    result = {"devices_targeted": 1, "devices_succeeded": 1, "counts": {"succeeded": 1}}
    Execution.objects.filter(pk=execution.pk).move(
        "success", completed_at=timezone.now(), result=result
    )
    of_file = [f"/files/{file.pk}/", f"/files/{file.pk}/edit", f"/files/{spare.pk}/delete"]
    of_software = [f"/software/{entry.pk}/{part}" for part in ("", "edit", "delete")]
    return [
        "/files/",
        "/files/new",
        f"/files/uploads/{factories.upload(admin).pk}/cancel",
        "/software/",
        "/software/new",
        *of_file,
        *of_software,
        f"/devices/{device.pk}/software",
        f"/tasks/new?file={file.pk}",
        f"/tasks/{task.pk}/",
        f"/executions/{execution.pk}/",
        f"/executions/{execution.pk}/restore",
        f"/runs/{run.pk}/restore",
    ]


def _of_a_rollout(task: ScheduledTask) -> list[str]:
    """An execution in waves, and one that has ended with something to retry."""
    held = factories.execution(task, open_wave=2, rollout_paused_at=timezone.now())
    for wave, status in enumerate(("succeeded", "running", "pending"), start=1):
        factories.run(held, status=status, wave=wave)
    ended = factories.execution(task)
    for status in ("failed", "lost", "succeeded"):
        factories.run(ended, status=status)
    Execution.objects.filter(pk=ended.pk).move("failed", completed_at=timezone.now())
    rollout = f"/executions/{held.pk}/"
    return [rollout, f"{rollout}cancel?wave=2", f"/executions/{ended.pk}/retry"]


def _of_outputs_that_differ(task: ScheduledTask) -> str:
    """What a device wrote beside what two others did."""
    execution = factories.execution(task)
    odd = [wrote(execution, text) for text in ("one\n", "one\n", "two\n")][-1]
    return f"/runs/{odd.pk}/difference"
