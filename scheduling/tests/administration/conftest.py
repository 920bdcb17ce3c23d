from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from accounts import tokens
from accounts.models import IdempotencyKey
from devices import enrollment, keys
from devices.models import AgentRelease, AgentUpdate, Device, DeviceGroup, InstalledSoftware
from scheduling import alarms, heartbeats
from scheduling.models import (
    Blob,
    Execution,
    ExecutionBlob,
    OutputGap,
    ScheduledTask,
    Software,
    SoftwareSource,
    StoredFile,
    TaskTemplate,
    Upload,
)
from scheduling.tests import factories

OURS = ("accounts", "devices", "scheduling")
admin.autodiscover()


def registered() -> list[type[Model]]:
    """The models of our apps that the admin shows."""
    return [model for model in admin.site._registry if model._meta.app_label in OURS]


def url(model: type[Model], page: str, *arguments: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=arguments)


@pytest.fixture
def everything(admin: User, task: ScheduledTask, web_group: DeviceGroup, signer: str) -> Model:
    """A row at least of every model there is; answers the task."""
    keys.server_id()
    tokens.issue(admin, "script")
    enrollment.issue(group=web_group, created_by=admin)
    IdempotencyKey.objects.create(user=admin, method="POST", path="/", key="k", body_sha256="")
    heartbeats.record("web", "web-1:1")
    device = web_group.devices.get()
    run = factories.run(factories.execution(task), device, status="running")
    factories.write_output(run, b"hello\n")
    OutputGap.objects.create(run=run, offset=6, bytes=3)
    _catalogue(admin, run.execution, device)
    AgentRelease.objects.create(sha256="cd" * 32, version="9.9", terms=b"{}", signature=b"")
    AgentUpdate.objects.create(device=device, version="9.9", asked_at=run.created_at)
    alarms.unknown_runs(device, [run.execution_id])
    TaskTemplate.objects.create(user=admin, name="web", task_type="command")
    return task


def _catalogue(user: User, execution: Execution, device: Device) -> None:
    blob = Blob.objects.create(sha256="ab" * 32, size=3, content_type="text/plain")
    ExecutionBlob.objects.create(execution=execution, blob=blob)
    file = StoredFile.objects.create(name="motd", blob=blob, user=user)
    now = execution.created_at
    Upload.objects.create(user=user, name="big.iso", size=9, expires_at=now)
    software = Software.objects.create(name="tool", version="1.0", user=user)
    SoftwareSource.objects.create(software=software, os="linux", format="sh", file=file)
    InstalledSoftware.objects.create(device=device, name="tool", version="1.0", seen_at=now)


def sign_in(user: User) -> Client:
    client = Client(raise_request_exception=True)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def office(admin: User) -> Client:
    """The admin's pages, open for an administrator."""
    return sign_in(admin)


@pytest.fixture
def clerk(operator: User) -> Client:
    """The admin's pages, open for the operator: staff with every permission, no superuser."""
    operator.is_staff = True
    operator.save()
    ours = Permission.objects.filter(content_type__app_label__in=OURS)
    operator.user_permissions.set(ours)
    return sign_in(operator)


Act = Callable[..., HttpResponse]


@pytest.fixture
def act() -> Act:
    """Chooses rows on a changelist and starts an action."""

    def post(client: Client, action: str, *rows: Model) -> Any:
        given = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
        return client.post(url(type(rows[0]), "changelist"), given, follow=True)

    return post


def said(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]
