from __future__ import annotations

from django.contrib.auth.models import User

from devices.models import DeviceGroup
from scheduling.models import ScheduledTask
from tests.browser.conftest import Visitor


def test_a_task_is_made_in_the_form_and_shows_in_the_list(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    visitor.signs_in("operator")
    page = visitor.opens("/tasks/")
    page.get_by_role("link", name="New task").click()
    page.get_by_label("Name", exact=True).fill("Disk space")
    page.get_by_label("Commands 1").fill("df -h")
    page.get_by_label("web", exact=False).first.check()
    page.get_by_text("1 device now").wait_for()
    page.get_by_role("button", name="Schedule task").click()
    page.get_by_text("“Disk space” is scheduled.").wait_for()
    task = ScheduledTask.objects.get()
    assert task.task_payload["commands"] == ["df -h"]
    assert task.group_ids == [str(web_group.pk)]
    visitor.opens("/tasks/")
    page.get_by_role("row", name="Disk space").get_by_text("Pending").wait_for()
