"""Clients of the API, each with a token of its persona's."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from accounts import tokens
from devices.models import DeviceGroup
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.tests import factories

TASKS = "/api/schedule/tasks"
EXECUTIONS = "/api/schedule/executions"
RUNS = "/api/schedule/runs"


def client_of(user: User, *scopes: str) -> APIClient:
    _row, key = tokens.issue(user, "test", scopes)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return client


@pytest.fixture
def anonymous(db: None) -> APIClient:
    return APIClient()


@pytest.fixture
def api(operator: User) -> APIClient:
    """The operator's."""
    return client_of(operator)


@pytest.fixture
def outside(outsider: User) -> APIClient:
    return client_of(outsider)


@pytest.fixture
def admin_api(admin: User) -> APIClient:
    return client_of(admin)


@pytest.fixture
def execution(task: ScheduledTask) -> Execution:
    """Under way."""
    return factories.execution(task)


@pytest.fixture
def run(execution: Execution) -> DeviceRun:
    return factories.run(execution, status="running")


@pytest.fixture
def body(web_group: DeviceGroup) -> dict[str, Any]:
    """A valid task on `web_group`."""
    return factories.definition(groups=[web_group])


def address(thing: ScheduledTask | Execution | DeviceRun, verb: str = "") -> str:
    prefix = {ScheduledTask: TASKS, Execution: EXECUTIONS, DeviceRun: RUNS}[type(thing)]
    return f"{prefix}/{thing.pk}" + (f"/{verb}" if verb else "")
