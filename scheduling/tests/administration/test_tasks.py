from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from devices.models import DeviceGroup
from scheduling.models import Execution, ScheduledTask
from scheduling.tests import factories
from scheduling.tests.administration.conftest import Act, said, url

NO_PARENTS = {
    "dependencies-TOTAL_FORMS": "0",
    "dependencies-INITIAL_FORMS": "0",
}
AS_JSON = (
    "tags", "task_payload", "recurrence_config", "excluded_dates", "device_ids", "group_ids",
    "rollout", "retry",
)  # fmt: skip


def typed(**changes: Any) -> dict[str, Any]:
    """The add page, filled in."""
    return {
        "name": "From the admin",
        "description": "",
        "tags": "[]",
        "task_type": "command",
        "task_payload": '{"command": "df -h"}',
        "recurrence_type": "daily",
        "recurrence_config": '{"time": "02:00"}',
        "time_zone": "Europe/Berlin",
        "jitter_seconds": "0",
        "excluded_dates": "[]",
        "device_ids": "[]",
        "group_ids": "[]",
        "timeout_seconds": "3600",
        "offline_policy": "queue",
        "expires_after_seconds": "86400",
        "overlap_policy": "skip",
        "misfire_policy": "run_latest",
        "misfire_grace_seconds": "300",
        "rollout": "{}",
        "retry": "{}",
        **NO_PARENTS,
        **changes,
    }


def as_typed(task: ScheduledTask, **changes: Any) -> dict[str, Any]:
    """The change page as it opens, with changes."""
    texts = {name: json.dumps(getattr(task, name)) for name in AS_JSON}
    same = ("name", "description", "recurrence_type", "time_zone")
    plain = {name: getattr(task, name) for name in same}
    return {**typed(), **plain, **texts, "user": task.user_id, **changes}


def parent(of: ScheduledTask, on: str = "success") -> dict[str, Any]:
    return {
        "dependencies-TOTAL_FORMS": "1",
        "dependencies-INITIAL_FORMS": "0",
        "dependencies-0-parent": str(of.pk),
        "dependencies-0-on": on,
    }


def errors_of(response: Any) -> dict[str, Any]:
    assert response.status_code == 200, "it was accepted"
    return dict(response.context["adminform"].form.errors)


def test_a_new_task_is_planned_and_its_makers(
    office: Client, admin: User, web_group: DeviceGroup
) -> None:
    given = typed(group_ids=json.dumps([str(web_group.pk)]))
    response = office.post(url(ScheduledTask, "add"), given)
    assert response.status_code == 302
    task = ScheduledTask.objects.get()
    assert (task.user, task.time_zone) == (admin, "Europe/Berlin")
    assert task.next_run_time is not None
    assert task.periodic_task is not None
    assert task.task_payload["success_exit_codes"] == [0]  # normalised, as through every door


def test_what_the_verbs_refuse_is_said_beside_its_field(office: Client) -> None:
    given = typed(
        task_payload='{"cmd": "df"}', time_zone="Mars/Olympus", timeout_seconds="90000", tags="{}"
    )
    errors = errors_of(office.post(url(ScheduledTask, "add"), given))
    assert errors.keys() >= {"task_payload", "time_zone", "timeout_seconds", "tags", "group_ids"}
    assert not ScheduledTask.objects.exists()


def test_what_is_no_json_is_said_once(office: Client) -> None:
    errors = errors_of(office.post(url(ScheduledTask, "add"), typed(task_payload="{")))
    assert len(errors["task_payload"]) == 1


def test_an_edit_of_the_rule_plans_anew(office: Client, task: ScheduledTask) -> None:
    before = task.next_run_time
    given = as_typed(task, recurrence_config='{"time": "03:30"}')
    response = office.post(url(ScheduledTask, "change", task.pk), given)
    assert response.status_code == 302
    task.refresh_from_db()
    assert task.next_run_time is not None
    assert task.next_run_time != before
    assert (task.next_run_time.hour, task.next_run_time.minute) == (3, 30)
    assert task.periodic_task is not None
    assert task.periodic_task.crontab.hour == "3"


def test_any_other_edit_leaves_the_plan(office: Client, task: ScheduledTask) -> None:
    ScheduledTask.objects.filter(pk=task.pk).update(next_run_time=timezone.now())
    task.refresh_from_db()
    before = task.next_run_time
    office.post(url(ScheduledTask, "change", task.pk), as_typed(task, name="Another name"))
    task.refresh_from_db()
    assert (task.name, task.next_run_time) == ("Another name", before)


def test_the_change_page_opens_as_it_would_be_saved(office: Client, task: ScheduledTask) -> None:
    form = office.get(url(ScheduledTask, "change", task.pk)).context["adminform"].form
    assert json.loads(form["task_payload"].value()) == task.task_payload
    assert json.loads(form["rollout"].value()) == task.rollout


def test_a_task_may_wait_for_others(office: Client, task: ScheduledTask, admin: User) -> None:
    child = factories.task(admin, name="Afterwards")
    given = as_typed(child, **parent(task, "failure"))
    assert office.post(url(ScheduledTask, "change", child.pk), given).status_code == 302
    (link,) = child.dependencies.all()
    assert (link.parent, link.on) == (task, "failure")


def test_a_circle_of_tasks_is_refused(office: Client, task: ScheduledTask, admin: User) -> None:
    child = factories.task(admin, depends_on=[{"task_id": str(task.pk), "on": "success"}])
    response = office.post(url(ScheduledTask, "change", task.pk), as_typed(task, **parent(child)))
    assert response.status_code == 200
    (formset,) = (one.formset for one in response.context["inline_admin_formsets"])
    assert "circle" in str(formset.non_form_errors())
    assert not task.dependencies.exists()


def test_an_administrator_hands_a_task_over(
    office: Client, task: ScheduledTask, admin: User
) -> None:
    office.post(url(ScheduledTask, "change", task.pk), as_typed(task, user=admin.pk))
    task.refresh_from_db()
    assert task.user == admin


def test_staff_may_not_aim_at_what_they_may_not_use(clerk: Client, operator: User) -> None:
    foreign = factories.device("foreign")
    given = typed(device_ids=json.dumps([str(foreign.pk)]))
    errors = errors_of(clerk.post(url(ScheduledTask, "add"), given))
    assert list(errors) == ["device_ids"]
    assert not ScheduledTask.objects.exists()


def test_who_lost_the_right_on_a_target_may_not_save(
    clerk: Client, task: ScheduledTask, web_group: DeviceGroup
) -> None:
    web_group.people.clear()
    response = clerk.post(url(ScheduledTask, "change", task.pk), as_typed(task, name="New"))
    assert "You may not use every target of this task." in str(errors_of(response))
    task.refresh_from_db()
    assert task.name == "Disk space"


def test_pause_resume_and_execute_are_actions(
    office: Client, task: ScheduledTask, act: Act
) -> None:
    assert said(act(office, "pause", task)) == ["1 tasks are paused."]
    task.refresh_from_db()
    assert (task.status, task.next_run_time) == ("paused", None)
    assert said(act(office, "execute_now", task)) == ["1 tasks were started."]
    assert Execution.objects.get().trigger == "manual"
    assert said(act(office, "resume", task)) == ["1 tasks go on."]
    task.refresh_from_db()
    assert task.next_run_time is not None


def test_a_refused_action_says_why_and_does_the_others(
    office: Client, task: ScheduledTask, admin: User, act: Act
) -> None:
    paused = factories.task(admin, name="Paused")
    act(office, "pause", paused)
    messages = said(act(office, "pause", paused, task))
    assert messages == ["Paused: The task is paused already.", "1 tasks are paused."]


def test_actions_check_rights(
    clerk: Client, task: ScheduledTask, web_group: DeviceGroup, act: Act
) -> None:
    web_group.people.clear()
    (message,) = said(act(clerk, "execute_now", task))
    assert "You may not use every target" in message
    assert not Execution.objects.exists()


@pytest.mark.parametrize("several", [False, True])
def test_deleting_goes_through_the_verb(
    office: Client, task: ScheduledTask, act: Act, several: bool
) -> None:
    mirrored = task.periodic_task
    execution = factories.execution(task)
    factories.run(execution)
    if several:
        given = {"action": "delete_selected", "_selected_action": [str(task.pk)], "post": "yes"}
        office.post(url(ScheduledTask, "changelist"), given)
    else:
        office.post(url(ScheduledTask, "delete", task.pk), {"post": "yes"})
    assert not ScheduledTask.objects.exists()
    assert mirrored is not None
    assert not type(mirrored).objects.filter(pk=mirrored.pk).exists()
    execution.refresh_from_db()
    assert execution.cancel_requested_at is not None
