"""Who deletes a file or a software is told which templates name it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from scheduling import templates
from scheduling.models import TaskTemplate
from scheduling.tests import factories
from scheduling.tests.catalogue.conftest import Store, files_dir, stored

__all__ = ["files_dir", "stored"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("files_dir")]


def named(client: Client, address: str) -> list[TaskTemplate]:
    answer = client.get(address)
    page = answer.content.decode()
    found: list[TaskTemplate] = answer.context["templates"]
    assert ("Templates that name it" in page) == bool(found)
    assert all(one.get_absolute_url() in page for one in found)
    return found


def test_of_a_file(as_operator: Client, operator: User, admin: User, stored: Store) -> None:
    file = stored()
    address = f"/files/{file.pk}/delete"
    assert named(as_operator, address) == []
    given = {
        "name": "Motd",
        "task_type": "file_deployment",
        "task_payload": {"file_ids": [str(file.pk)], "target_path": "/etc/motd"},
    }
    own = templates.create(operator, given)
    templates.create(admin, {**given, "name": "Theirs"})
    assert named(as_operator, address) == [own]


def test_of_a_software(as_admin: Client, admin: User) -> None:
    entry = factories.software(admin)
    payload = {"software_ids": [str(entry.pk)], "action": "install"}
    given = {"name": "Tools", "task_type": "software_deployment", "task_payload": payload}
    template = templates.create(admin, given)
    assert named(as_admin, f"/software/{entry.pk}/delete") == [template]
