"""The three pages on which one chooses what and where: run at once, or scheduled in the dialog."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, Route, expect

from devices.models import DeviceGroup
from scheduling.catalogue import files
from scheduling.models import Execution, ScheduledTask
from scheduling.tests import factories
from tests.browser.accessibility import overflow, violations
from tests.browser.conftest import Visitor


@pytest.fixture(autouse=True)
def catalogue(admin: User, operator: User) -> None:
    for name in ("motd", "issue"):
        files.create(operator, {"name": name}, iter([name.encode()]), len(name))
    tool = factories.software(admin, name="Tool")
    factories.software(admin, name="Suite", dependency_ids=[str(tool.pk)])


def a_command(visitor: Visitor) -> Page:
    page = visitor.opens("/commands/")
    page.get_by_label("Commands 1").fill("df -h")
    return page


def two_files(visitor: Visitor) -> Page:
    page = visitor.opens("/files/")
    for name in ("motd", "issue"):
        page.get_by_label(f"Choose {name}").check()
    page.get_by_role("button", name="Deploy files…").click()
    page.get_by_label("Target path").fill("/srv/")
    return page


def some_software(visitor: Visitor) -> Page:
    page = visitor.opens("/software/")
    page.get_by_label("Choose Tool").check()
    page.get_by_role("button", name="Deploy software…").click()
    return page


PAGES: dict[str, Callable[[Visitor], Page]] = {
    "command": a_command,
    "file_deployment": two_files,
    "software_deployment": some_software,
}
# CI tries each way with the first, and each page's own part by what is written for it.
FIRST, *OTHERS = PAGES
KINDS = [FIRST, *(pytest.param(one, marks=pytest.mark.thorough) for one in OTHERS)]


@pytest.mark.parametrize("kind", KINDS)
def test_execute_now_leads_to_the_execution(
    visitor: Visitor, operator: User, web_group: DeviceGroup, kind: str
) -> None:
    visitor.signs_in("operator")
    page = PAGES[kind](visitor)
    page.get_by_label("web", exact=True).check()
    page.get_by_text("1 device now (1 group)").first.wait_for()
    page.get_by_role("button", name="Execute now").first.click()
    page.wait_for_url("**/executions/*/")
    execution = Execution.objects.get()
    assert execution.task_type == kind
    assert page.url.endswith(execution.get_absolute_url())


def test_what_needs_software_is_named_once_it_is_to_be_uninstalled(
    visitor: Visitor, operator: User
) -> None:
    visitor.signs_in("operator")
    page = some_software(visitor)
    page.get_by_label("Action").select_option("uninstall")
    warning = page.get_by_text("may no longer work")
    expect(warning).to_contain_text("Suite")
    page.get_by_label("Suite").check()
    expect(warning).to_have_count(0)
    page.get_by_label("Suite").uncheck()
    expect(warning).to_contain_text("Suite")
    page.get_by_label("Action").select_option("install")
    expect(warning).to_have_count(0)


@pytest.mark.thorough
def test_what_is_chosen_before_the_scripts_are_there_counts_as_well(
    visitor: Visitor, operator: User
) -> None:
    visitor.signs_in("operator")
    page = some_software(visitor)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/*.js", hold)
    page.reload(wait_until="commit")
    page.get_by_label("Action").select_option("uninstall")
    assert held
    page.unroute("**/*.js")
    expect(page.get_by_text("may no longer work")).to_contain_text("Suite")


@pytest.mark.parametrize("kind", KINDS)
def test_schedule_opens_the_dialog_with_what_was_chosen(
    visitor: Visitor, operator: User, web_group: DeviceGroup, kind: str
) -> None:
    visitor.signs_in("operator")
    page = PAGES[kind](visitor)
    page.get_by_label("web", exact=True).check()
    page.get_by_text("1 device now (1 group)").first.wait_for()
    page.get_by_role("button", name="Schedule…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 device now (1 group), 0 offline.")
    dialog.get_by_label("Name", exact=True).fill("Nightly")
    dialog.get_by_label("Time", exact=True).fill("03:00")
    expect(dialog.locator("#preview")).to_contain_text("Every day at 03:00, UTC")
    dialog.get_by_role("button", name="Schedule task").click()
    page.get_by_text("“Nightly” is scheduled.").wait_for()
    task = ScheduledTask.objects.get()
    assert (task.task_type, task.group_ids) == (kind, [str(web_group.pk)])


@pytest.mark.thorough
def test_what_is_wrong_shows_where_it_is_wrong(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    visitor.signs_in("operator")
    page = a_command(visitor)
    page.get_by_role("button", name="Schedule…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Schedule task").click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_text("Name at least one device or group.")).to_be_visible()
    expect(page.get_by_label("Commands 1")).to_have_value("df -h")
    page.get_by_label("web", exact=True).check()
    page.get_by_text("1 device now").first.wait_for()
    page.get_by_role("button", name="Schedule…").click()
    dialog.get_by_role("button", name="Schedule task").click()
    name = dialog.get_by_label("Name", exact=True)
    expect(name).to_be_focused()
    expect(name).to_have_attribute("aria-invalid", "true")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Schedule…")).to_be_focused()


def test_enter_runs_nothing_by_accident(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    visitor.signs_in("operator")
    page = two_files(visitor)
    page.get_by_label("web", exact=True).check()
    page.get_by_text("1 device now (1 group)").first.wait_for()
    page.get_by_label("Target path").press("Enter")
    page.get_by_label("Search: Devices").press("Enter")
    expect(page.get_by_label("Target path")).to_have_value("/srv/")
    assert not Execution.objects.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_without_javascript_it_is_executed_and_scheduled(
    plain_visitor: Visitor, operator: User, web_group: DeviceGroup, kind: str
) -> None:
    plain_visitor.signs_in("operator")
    page = PAGES[kind](plain_visitor)
    page.get_by_label("web", exact=True).check()
    page.get_by_role("button", name="Execute now").first.click()
    page.wait_for_url("**/executions/*/")
    page = PAGES[kind](plain_visitor)
    page.get_by_label("web", exact=True).check()
    page.get_by_role("button", name="Schedule…").click()
    page.get_by_label("Name", exact=True).fill("Nightly")
    page.get_by_role("button", name="Schedule task").click()
    page.get_by_text("“Nightly” is scheduled.").wait_for()
    assert ScheduledTask.objects.listed().get().task_type == kind
    assert Execution.objects.get().task_type == kind


@pytest.mark.thorough
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_and_work_them(
    visitor: Visitor, operator: User, web_group: DeviceGroup, scheme: str
) -> None:
    visitor.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    visitor.signs_in("operator")
    wrong = []
    for choose in PAGES.values():
        page = choose(visitor)
        visitor.unfolds_everything()
        wrong += violations(visitor)
        page.get_by_role("button", name="Schedule…").click()
        wrong += violations(visitor)
    assert wrong == []


@pytest.mark.thorough
def test_they_fit_a_telephone(visitor: Visitor, operator: User, web_group: DeviceGroup) -> None:
    visitor.page.set_viewport_size({"width": 320, "height": 640})
    visitor.signs_in("operator")
    wide = []
    for choose in PAGES.values():
        page = choose(visitor)
        wide += overflow(visitor)
        page.get_by_role("button", name="Schedule…").click()
        wide += overflow(visitor)
    assert wide == []
