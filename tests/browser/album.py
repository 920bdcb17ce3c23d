"""Every page of which there is a picture: its address by the name of its picture."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from tests.browser.showcase import Showcase, of

ENTRANCE = {
    "sign-in": "/accounts/login/",
    "password-reset": "/accounts/password/reset/",
    "sign-up": "/accounts/signup/",
}
"""For somebody who has not signed in."""
MISSING = {"not-found": "/nothing-of-the-kind"}
"""What is answered with a 404."""
BULK = ("pause", "resume", "execute", "edit", "reschedule", "delete")


def addresses(shown: Showcase) -> dict[str, str]:
    """For the administrator."""
    return {
        **_of_tasks(shown),
        **_of_executions(shown),
        **_of_the_catalogue(shown),
        **_of_devices(shown),
        **_of_settings(shown),
    }


def _of_tasks(shown: Showcase) -> dict[str, str]:
    task, other, third = shown.tasks[:3]
    tomorrow = timezone.now() + timedelta(days=1)
    return {
        "overview": "/",
        "tasks": "/tasks/",
        "task": f"/tasks/{task.pk}/",
        "task-new": "/tasks/new",
        "task-edit": f"/tasks/{third.pk}/edit",
        "task-changes": f"/tasks/{task.pk}/changes",
        "task-delete": f"/tasks/{task.pk}/delete",
        "task-template": f"/tasks/{task.pk}/template",
        **{f"tasks-{one}": f"/tasks/bulk/{one}?task={task.pk}&task={other.pk}" for one in BULK},
        "calendar-month": "/calendar/",
        "calendar-week": "/calendar/?view=week",
        "calendar-day": f"/calendar/?view=day&date={tomorrow:%Y-%m-%d}",
        "command": "/commands/",
        "deploy": "/deploy/command/",
    }


def _of_executions(shown: Showcase) -> dict[str, str]:
    running, ended = f"/executions/{shown.running.pk}", f"/executions/{shown.ended.pk}"
    deployed = shown.deployed.runs.order_by("device_name")[0]
    return {
        "history": "/executions/",
        "execution-running": f"{running}/?run={shown.run.pk}",
        "execution-ended": f"{ended}/",
        "execution-difference": f"/runs/{shown.odd.pk}/difference",
        "execution-cancel": f"{running}/cancel",
        "execution-retry": f"{ended}/retry",
        "execution-restore": f"/executions/{shown.deployed.pk}/restore",
        "rollout-abort": f"{running}/abort",
        "run-cancel": f"/runs/{shown.run.pk}/cancel",
        "run-restore": f"/runs/{deployed.pk}/restore",
    }


def _of_the_catalogue(shown: Showcase) -> dict[str, str]:
    file, entry = f"/files/{shown.file.pk}", f"/software/{shown.entry.pk}"
    return {
        "files": "/files/",
        "file": f"{file}/",
        "file-new": "/files/new",
        "file-edit": f"{file}/edit",
        "file-upload-cancel": f"/files/uploads/{shown.upload.pk}/cancel",
        "file-delete": f"/files/{shown.spare.pk}/delete",
        "deploy-files": f"/files/?file={shown.file.pk}",
        "software": "/software/",
        "software-entry": f"{entry}/",
        "software-new": "/software/new",
        "software-edit": f"{entry}/edit",
        "software-delete": f"{entry}/delete",
        "deploy-software": f"/software/?software={shown.entry.pk}",
    }


def _of_devices(shown: Showcase) -> dict[str, str]:
    device, kiosk = of(shown.fleet.web)[0], of(shown.fleet.kiosks)[0]
    group = f"/groups/{shown.fleet.web.pk}"
    return {
        "devices": "/devices/",
        "device": f"/devices/{device.pk}/",
        "device-new": "/devices/new",
        "device-edit": f"/devices/{device.pk}/edit",
        "device-software": f"/devices/{kiosk.pk}/software",
        "device-revoke": f"/devices/{device.pk}/revoke",
        "device-delete": f"/devices/{device.pk}/delete",
        "device-token-revoke": f"/devices/tokens/{shown.machine.pk}/revoke",
        "groups": "/groups/",
        "group": f"{group}/",
        "group-new": "/groups/new",
        "group-edit": f"{group}/edit",
        "group-delete": f"{group}/delete",
    }


def _of_settings(shown: Showcase) -> dict[str, str]:
    task, template = shown.tasks[0], f"/settings/templates/{shown.template.pk}"
    return {
        "templates": "/settings/templates/",
        "template": f"{template}/",
        "template-delete": f"{template}/delete",
        "tokens": "/settings/tokens/",
        "token-revoke": f"/settings/tokens/{shown.token.pk}/revoke",
        "password-change": "/accounts/password/change/",
        "sign-out": "/accounts/logout/",
        "health": "/health/",
        "api-root": "/api/",
        "api-list": "/api/schedule/tasks",
        "api": f"/api/schedule/tasks/{task.pk}",
        "api-docs": "/api/docs",
        "admin": "/admin/",
        "admin-tasks": "/admin/scheduling/scheduledtask/",
    }
