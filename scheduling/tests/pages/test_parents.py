"""What a task runs after, where pages show it, change it or take it away."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from devices.models import DeviceGroup
from scheduling import schedules
from scheduling.models import ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.django_db


def after(*parents: ScheduledTask, on: str = "success") -> list[dict[str, str]]:
    return [{"task_id": str(one.pk), "on": on} for one in parents]


@pytest.fixture
def child(operator: User, web_group: DeviceGroup, task: ScheduledTask) -> ScheduledTask:
    """Runs when `task`, which is called Disk space, succeeds, and at no time of its own."""
    return factories.by_hand(operator, groups=[web_group], name="Report", depends_on=after(task))


def shown(client: Client, address: str) -> str:
    """The page with one blank wherever there are several."""
    return " ".join(client.get(address).content.decode().split())


@pytest.mark.parametrize("is_list", [True, False])
def test_a_page_links_the_parent_and_says_on_which_end(
    as_operator: Client, task: ScheduledTask, child: ScheduledTask, is_list: bool
) -> None:
    page = shown(as_operator, "/tasks/" if is_list else child.get_absolute_url())
    link = f'<a href="{task.get_absolute_url()}">Disk space</a>'
    assert f"Runs after {link} (on success)" in page
    assert "No time of its own" in page
    for wrong in ("By hand only", "Nothing is left to come"):
        assert wrong not in page


@pytest.mark.parametrize(
    ("on", "said"),
    [("failure", "(on failure)"), ("completion", "(on success or failure)")],
)
def test_the_end_is_said_as_the_task_has_it(
    as_operator: Client,
    operator: User,
    task: ScheduledTask,
    child: ScheduledTask,
    on: str,
    said: str,
) -> None:
    schedules.update(child, operator, {"depends_on": after(task, on=on)}, partial=True)
    assert said in shown(as_operator, child.get_absolute_url())


def test_somebody_elses_task_is_neither_named_nor_linked(
    as_operator: Client, as_admin: Client, admin: User, child: ScheduledTask
) -> None:
    theirs = factories.task(admin, name="Secret")
    schedules.update(child, admin, {"depends_on": after(theirs)}, partial=True)
    for address in ("/tasks/", child.get_absolute_url()):
        page = shown(as_operator, address)
        assert "Runs after another person's task (on success)" in page
        assert "Secret" not in page
        assert str(theirs.pk) not in page
    assert ">Secret</a> (on success)" in shown(as_admin, child.get_absolute_url())


def test_the_list_names_three_parents_and_the_page_of_the_task_all(
    as_operator: Client, operator: User, web_group: DeviceGroup, child: ScheduledTask
) -> None:
    parents = [factories.task(operator, groups=[web_group], name=f"P{n}") for n in range(5)]
    schedules.update(child, operator, {"depends_on": after(*parents)}, partial=True)
    listed = shown(as_operator, "/tasks/?search=Report")
    whole = shown(as_operator, child.get_absolute_url())
    assert "(on success) or 2 more" in listed
    assert listed.count("(on success)") == 3
    assert whole.count("(on success)") == 5


def test_tasks_with_parents_ask_no_more_queries(
    as_operator: Client, operator: User, web_group: DeviceGroup, child: ScheduledTask
) -> None:
    def queries() -> list[int]:
        numbers = []
        for address in ("/tasks/", child.get_absolute_url()):
            with CaptureQueriesContext(connection) as captured:
                as_operator.get(address)
            numbers.append(len(captured))
        return numbers

    before = queries()
    parents = list(ScheduledTask.objects.exclude(pk=child.pk))
    for number in range(8):
        depends_on = after(*parents)
        parents.append(
            factories.by_hand(
                operator, groups=[web_group], name=f"C{number}", depends_on=depends_on
            )
        )
    schedules.update(child, operator, {"depends_on": after(*parents)}, partial=True)
    assert queries() == before
    assert max(before) <= 12


def links(task: ScheduledTask) -> set[tuple[ScheduledTask, str]]:
    return {(one.parent, one.on) for one in task.dependencies.select_related("parent")}


def form_of(client: Client, address: str) -> Any:
    """The form as the page shows it; `data` is what it would send."""
    return client.get(address).context["form"]


def sent(client: Client, address: str, form: Any, **changes: Any) -> Any:
    return client.post(address, {**dict(form.data.lists()), **changes})


def test_a_copy_runs_after_the_same_tasks(
    as_operator: Client, operator: User, task: ScheduledTask, child: ScheduledTask
) -> None:
    schedules.update(child, operator, {"depends_on": after(task, on="failure")}, partial=True)
    form = form_of(as_operator, f"/tasks/new?from={child.pk}")
    assert [(one.name, one.option) for one in form.parents.chosen] == [("Disk space", "failure")]
    assert sent(as_operator, "/tasks/new", form).status_code == 302
    assert links(ScheduledTask.objects.get(name="Copy of Report")) == {(task, "failure")}


def test_a_copy_after_a_task_of_somebody_else_is_refused_beside_it_until_it_is_unticked(
    as_operator: Client, admin: User, child: ScheduledTask
) -> None:
    theirs = factories.task(admin)
    schedules.update(child, admin, {"depends_on": after(theirs)}, partial=True)
    form = form_of(as_operator, f"/tasks/new?from={child.pk}")
    answer = sent(as_operator, "/tasks/new", form)
    assert answer.context["form"].parent_errors == [f"Not found: {theirs.pk}."]
    assert f'value="{theirs.pk}" checked' in answer.content.decode()
    assert sent(as_operator, "/tasks/new", form, depends_on=[]).status_code == 302


def test_an_edit_of_something_else_keeps_what_it_runs_after(
    as_operator: Client, admin: User, task: ScheduledTask, child: ScheduledTask
) -> None:
    theirs = factories.task(admin)
    given = [*after(task, on="completion"), *after(theirs)]
    schedules.update(child, admin, {"depends_on": given}, partial=True)
    before = set(child.dependencies.values_list("pk", "on", "active_since"))
    address = f"/tasks/{child.pk}/edit"
    answer = sent(as_operator, address, form_of(as_operator, address), name="Reports")
    assert answer.status_code == 302
    child.refresh_from_db()
    assert child.name == "Reports"
    assert set(child.dependencies.values_list("pk", "on", "active_since")) == before


def test_what_it_runs_after_is_chosen_in_the_form(
    as_operator: Client, operator: User, web_group: DeviceGroup, child: ScheduledTask
) -> None:
    backups = factories.task(operator, groups=[web_group], name="Backups")
    chosen = {"depends_on": str(backups.pk), f"depends_on-{backups.pk}": "completion"}
    address = f"/tasks/{child.pk}/edit"
    assert sent(as_operator, address, form_of(as_operator, address), **chosen).status_code == 302
    assert links(child) == {(backups, "completion")}


def test_a_circle_is_refused_with_its_path_beside_the_choice(
    as_operator: Client, task: ScheduledTask, child: ScheduledTask
) -> None:
    address = f"/tasks/{task.pk}/edit"
    form = form_of(as_operator, address)
    answer = sent(as_operator, address, form, depends_on=str(child.pk))
    (said,) = answer.context["form"].parent_errors
    assert "Disk space → Report → Disk space" in said
    assert said in answer.content.decode()
    assert not task.dependencies.exists()


def test_a_search_finds_ones_own_tasks_and_nothing_is_offered_before(
    as_operator: Client, admin: User, task: ScheduledTask, child: ScheduledTask
) -> None:
    factories.task(admin, name="Disk secrets")
    address = "/catalogue/picker?what=tasks&name=depends_on"
    assert as_operator.post(address).context["picker"].found == []
    ticked = {"depends_on": str(child.pk), f"depends_on-{child.pk}": "failure"}
    answer = as_operator.post(address, {**ticked, "depends_on_search": "DISK"})
    picker = answer.context["picker"]
    assert [one.name for one in picker.found] == ["Disk space"]
    assert [(one.name, one.option) for one in picker.chosen] == [("Report", "failure")]
    assert '<option value="failure" selected>' in answer.content.decode()


def test_deleting_a_task_counts_what_no_longer_starts_after_it(
    as_operator: Client, operator: User, web_group: DeviceGroup, task: ScheduledTask
) -> None:
    address = f"/tasks/{task.pk}/delete"
    assert "after it" not in shown(as_operator, address)
    for said in ("1 task no longer starts after it.", "2 tasks no longer start after it."):
        factories.by_hand(operator, groups=[web_group], depends_on=after(task))
        assert said in shown(as_operator, address)


def test_deleting_several_counts_each_other_task_once(
    as_operator: Client, operator: User, web_group: DeviceGroup, task: ScheduledTask
) -> None:
    second = factories.by_hand(operator, groups=[web_group], depends_on=after(task))
    address = f"/tasks/bulk/delete?task={task.pk}&task={second.pk}"
    assert "after one of them" not in shown(as_operator, address)
    factories.by_hand(operator, groups=[web_group], depends_on=after(task, second))
    assert "1 other task no longer starts after one of them." in shown(as_operator, address)
