"""Choosing files and software in the task form, and naming them wherever a payload shows."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from devices import keys
from devices.models import DeviceGroup
from scheduling.models import ScheduledTask
from scheduling.tests import factories
from scheduling.tests.catalogue.conftest import Store

pytestmark = pytest.mark.django_db
FILES = "file_deployment-file_ids"
SOFTWARE = "software_deployment-software_ids"


def picker(client: Client, name: str, query: str = "") -> object:
    form = client.get(f"/tasks/new{query}").context["form"]
    return _picker(form, name)


def _picker(form: object, name: str) -> object:
    inputs = [one for part in form.payloads for one in part.inputs]  # type: ignore[attr-defined]
    (found,) = [one.picker for one in inputs if one.name == name]
    return found


def names(choices: object) -> list[str]:
    return [one.name for one in choices]  # type: ignore[attr-defined]


def test_a_few_files_show_and_the_rest_is_counted(as_operator: Client, stored: Store) -> None:
    for number in range(15):
        stored(str(number).encode(), name=f"file-{number:02}")
    shown = picker(as_operator, FILES)
    assert names(shown.found)[0] == "file-14"  # type: ignore[attr-defined]
    assert (len(shown.found), shown.more) == (12, 3)  # type: ignore[attr-defined]


def test_nobody_is_offered_another_persons_file(
    as_outsider: Client, as_admin: Client, stored: Store
) -> None:
    stored()
    assert picker(as_outsider, FILES).found == []  # type: ignore[attr-defined]
    assert names(picker(as_admin, FILES).found) == ["motd"]  # type: ignore[attr-defined]


def test_with_nothing_to_choose_from_it_says_what_to_do_first(as_operator: Client) -> None:
    page = as_operator.get("/tasks/new").content.decode()
    assert "upload one first" in page
    assert "ask an administrator to add software" in page


def test_ticked_ones_stay_while_others_are_searched_for(as_operator: Client, stored: Store) -> None:
    ticked, wanted = stored(b"1", name="ticked"), stored(b"2", name="wanted")
    stored(b"3", name="other")
    form = {"task_type": "file_deployment", FILES: str(ticked.pk), f"{FILES}_search": "WANT"}
    answer = as_operator.post(f"/catalogue/picker?what=files&name={FILES}&title=Files", form)
    shown = answer.context["picker"]
    assert (names(shown.chosen), names(shown.found)) == (["ticked"], ["wanted"])
    again = as_operator.post("/tasks/new", {**form, "look": "1"}).context["form"]
    assert names(_picker(again, FILES).chosen) == ["ticked"]  # type: ignore[attr-defined]
    assert wanted.name == "wanted"


@pytest.mark.parametrize("query", ["what=devices&name=a", "what=files&name=<b>", "what=files", ""])
def test_a_picker_of_nothing_there_is_is_a_404(as_operator: Client, query: str) -> None:
    assert as_operator.post(f"/catalogue/picker?{query}").status_code == 404


def test_what_is_gone_stays_ticked_until_somebody_unticks_it(as_operator: Client) -> None:
    gone = str(uuid4())
    form = {"task_type": "file_deployment", FILES: gone, "look": "1"}
    shown = _picker(as_operator.post("/tasks/new", form).context["form"], FILES)
    assert names(shown.chosen) == [gone]  # type: ignore[attr-defined]


def test_the_pages_of_files_and_software_lead_to_a_filled_in_form(
    as_operator: Client, stored: Store, admin: User
) -> None:
    file, entry = stored(), factories.software(admin)
    for query, kind, name, label in [
        (f"?file={file.pk}", "file_deployment", FILES, "motd"),
        (f"?software={entry.pk}", "software_deployment", SOFTWARE, "Tool 1.0"),
    ]:
        form = as_operator.get(f"/tasks/new{query}").context["form"]
        assert form.chosen_kind == kind
        assert names(_picker(form, name).chosen) == [label]  # type: ignore[attr-defined]
    assert as_operator.get("/tasks/new?file=x").status_code == 404


def test_files_are_deployed_from_the_form_and_named_on_every_page(
    as_operator: Client, stored: Store, web_group: DeviceGroup
) -> None:
    keys.ensure_key()
    files = [stored(b"1", name="one"), stored(b"2", name="two")]
    typed = {
        "task_type": "file_deployment",
        "name": "Greet",
        "recurrence_type": "once",
        "by_hand": "on",
        "time_zone": "UTC",
        "group_ids": str(web_group.pk),
        FILES: [str(one.pk) for one in files],
        "file_deployment-target_path": "/etc/motd.d/",
        "execute_now": "1",
    }
    answer = as_operator.post("/tasks/new", typed)
    assert answer.status_code == 302, answer.context["form"].other_errors
    task = ScheduledTask.objects.get()
    assert task.task_payload["file_ids"] == [str(one.pk) for one in files]
    for address in (task.get_absolute_url(), answer["Location"]):
        page = as_operator.get(address).content.decode()
        for one in files:
            assert f'href="{one.get_absolute_url()}">{one.name}</a>' in page


def test_a_task_that_is_edited_keeps_its_files(
    as_operator: Client, operator: User, stored: Store, web_group: DeviceGroup
) -> None:
    payload = {"file_ids": [str(stored().pk)], "target_path": "/etc/motd"}
    task = factories.task(
        operator, groups=[web_group], task_type="file_deployment", task_payload=payload
    )
    form = as_operator.get(f"/tasks/{task.pk}/edit").context["form"]
    answer = as_operator.post(f"/tasks/{task.pk}/edit", dict(form.data.lists()))
    assert answer.status_code == 302
    before = task.task_payload
    task.refresh_from_db()
    assert task.task_payload == before
