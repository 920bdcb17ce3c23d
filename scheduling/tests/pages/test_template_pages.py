"""From a task to a template, and from a template to a new task."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from devices.models import DeviceGroup
from scheduling import templates
from scheduling.models import ScheduledTask, TaskTemplate

pytestmark = pytest.mark.django_db


@pytest.fixture
def template(operator: User, task: ScheduledTask) -> TaskTemplate:
    return templates.create(operator, {"name": "Disk", **templates.of_task(task)})


def test_a_task_is_kept_with_what_was_ticked(as_operator: Client, task: ScheduledTask) -> None:
    given = {"name": "Disk", "description": "", "with_schedule": "on"}
    answer = as_operator.post(f"/tasks/{task.pk}/template", given)
    assert answer["Location"] == "/settings/templates/"
    made = TaskTemplate.objects.get()
    assert made.definition["recurrence_type"] == "daily"
    assert "group_ids" not in made.definition
    assert not made.shared


def test_what_is_refused_keeps_what_was_typed(as_operator: Client, task: ScheduledTask) -> None:
    given = {"name": "", "description": "For disks", "shared": "on"}
    page = as_operator.post(f"/tasks/{task.pk}/template", given).content.decode()
    assert "For disks" in page
    assert "must have from 1 to 200 characters." in page
    assert not TaskTemplate.objects.exists()


def test_a_new_task_begins_with_it(
    as_operator: Client, template: TaskTemplate, web_group: DeviceGroup
) -> None:
    form = as_operator.get(f"/tasks/new?template={template.pk}").context["form"]
    definition = form.definition()
    assert definition["name"] == "Disk"
    assert definition["task_payload"]["commands"] == ["echo hello"]
    assert definition["group_ids"] == [str(web_group.pk)]
    assert definition["recurrence_config"] == {"time": "02:00"}


def test_a_template_without_a_schedule_leaves_the_forms_own(
    as_operator: Client, operator: User, task: ScheduledTask
) -> None:
    given = templates.of_task(task, leave_out=[*templates.WHEN, *templates.WHERE])
    template = templates.create(operator, {"name": "Bare", **given})
    form = as_operator.get(f"/tasks/new?template={template.pk}").context["form"]
    assert form.definition()["recurrence_type"] == "daily"
    assert form.definition()["group_ids"] == []


def test_the_list_leads_to_a_new_task(as_operator: Client, template: TaskTemplate) -> None:
    page = as_operator.get("/settings/templates/?search=dis").content.decode()
    assert f"/tasks/new?template={template.pk}" in page
    assert "No template fits" in as_operator.get("/settings/templates/?search=x").content.decode()


def test_its_page_says_what_it_holds(as_operator: Client, template: TaskTemplate) -> None:
    page = as_operator.get(template.get_absolute_url()).content.decode()
    assert "Every day at 02:00, UTC" in page
    assert "echo hello" in page
    assert "1 group" in page


def test_its_owner_renames_and_shares_it(as_operator: Client, template: TaskTemplate) -> None:
    address = template.get_absolute_url()
    given = {"name": "Disks", "description": "", "shared": "on"}
    assert as_operator.post(address, given)["Location"] == address
    template.refresh_from_db()
    assert (template.name, template.shared) == ("Disks", True)
    assert "must have" in as_operator.post(address, {"name": ""}).content.decode()


def test_a_shared_one_may_be_used_by_others_and_not_changed(
    as_operator: Client, as_outsider: Client, template: TaskTemplate, operator: User
) -> None:
    address = template.get_absolute_url()
    assert as_outsider.get(address).status_code == 404
    assert as_outsider.get(f"/tasks/new?template={template.pk}").status_code == 404
    templates.update(template, operator, {"shared": True}, partial=True)
    page = as_outsider.get(address).content.decode()
    assert "Rename and share" not in page
    assert as_outsider.get(f"/tasks/new?template={template.pk}").status_code == 200
    as_outsider.post(address, {"name": "Mine"})
    as_outsider.post(f"{address}delete")
    template.refresh_from_db()
    assert template.name == "Disk"


def test_delete_asks_first(as_operator: Client, template: TaskTemplate) -> None:
    address = f"{template.get_absolute_url()}delete"
    assert "stay as they are" in as_operator.get(address).content.decode()
    assert TaskTemplate.objects.exists()
    assert as_operator.post(address)["Location"] == "/settings/templates/"
    assert not TaskTemplate.objects.exists()


@pytest.mark.parametrize("door", ["template", "changes"])
def test_a_task_of_others_is_not_there(as_outsider: Client, task: ScheduledTask, door: str) -> None:
    assert as_outsider.get(f"/tasks/{task.pk}/{door}").status_code == 404
    assert as_outsider.post(f"/tasks/{task.pk}/{door}").status_code in (404, 405)
