from __future__ import annotations

import builtins
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from devices.models import DeviceGroup
from scheduling.models import Execution, ScheduledTask
from scheduling.tests import factories
from scheduling.tests.cli.conftest import Schedule


def test_the_list_shows_each_task_in_a_line_without_colours(
    schedule: Schedule, task: ScheduledTask
) -> None:
    said = schedule("list")
    (line,) = [line for line in said.out.splitlines() if str(task.pk) in line]
    assert task.name in line
    assert task.schedule_text in line
    assert "web" in line
    assert "\x1b" not in said.out


def test_the_list_as_json_has_the_names_of_the_api(
    schedule: Schedule, task: ScheduledTask, operator: User
) -> None:
    (listed,) = schedule("list", "--json").json
    assert listed["id"] == str(task.pk)
    assert listed["user_id"] == operator.pk
    assert listed["next_run_time"].endswith("Z")
    assert listed["status"] == "pending"


def test_the_list_is_filtered(
    schedule: Schedule, admin: User, task: ScheduledTask, web_group: DeviceGroup
) -> None:
    other = factories.task(admin, name="Updates", tags=["os"], devices=[factories.device("db-1")])
    schedule("pause", other.pk)
    for arguments, expected in [
        (["--tag", "os"], [other]),
        (["--device", "db-1"], [other]),
        (["--group", "web"], [task]),
        (["--status", "paused"], [other]),
        (["--search", "disk"], [task]),
        (["--limit", "1"], [other]),
        (["--search", "nothing"], []),
    ]:
        found = [one["id"] for one in schedule("list", "--json", *arguments).json]
        assert found == [str(one.pk) for one in expected], arguments


def test_people_see_their_own_tasks_alone(
    schedule: Schedule, task: ScheduledTask, outsider: User
) -> None:
    assert schedule("list", "--json", "--user", "outsider").json == []
    for verb in ("show", "pause", "resume", "run", "executions"):
        said = schedule(verb, task.pk, "--user", "outsider")
        assert (said.code, said.err) == (2, f"task: There is no task “{task.pk}”.\n"), verb
    assert schedule("delete", task.pk, "--yes", "--user", "outsider").code == 2
    assert ScheduledTask.objects.filter(pk=task.pk, is_paused=False).exists()


def test_a_task_goes_by_id_name_or_the_beginning_of_its_id(
    schedule: Schedule, task: ScheduledTask
) -> None:
    for words in (task.pk, task.name, str(task.pk)[:8], str(task.pk)[:20].upper()):
        assert schedule("show", words, "--json").json["id"] == str(task.pk)


def test_a_name_of_two_tasks_is_an_error_that_lists_the_ids(
    schedule: Schedule, task: ScheduledTask, admin: User
) -> None:
    twin = factories.task(admin, name=task.name)
    said = schedule("show", task.name)
    assert said.code == 2
    assert str(task.pk) in said.err
    assert str(twin.pk) in said.err


def test_show_tells_what_when_and_where(schedule: Schedule, task: ScheduledTask) -> None:
    said = schedule("show", task.pk)
    for words in (task.name, task.schedule_text, "echo hello", "web", "02:00:00 UTC"):
        assert words in said.out
    assert said.out.count("then ") == 4


def test_show_tells_what_a_task_runs_after(
    schedule: Schedule, operator: User, web_group: DeviceGroup, task: ScheduledTask
) -> None:
    after = [{"task_id": str(task.pk), "on": "failure"}]
    child = factories.by_hand(operator, groups=[web_group], name="Tell", depends_on=after)
    said = schedule("show", child.pk)
    assert "no time of its own" in said.out
    assert f"{task.name} (on failure)" in said.out


def test_pause_and_resume_take_the_plan_away_and_give_it_back(
    schedule: Schedule, task: ScheduledTask
) -> None:
    paused = schedule("pause", task.name, "--json").json
    assert (paused["status"], paused["next_run_time"]) == ("paused", None)
    resumed = schedule("resume", task.name, "--json").json
    assert resumed["status"] == "pending"
    assert resumed["next_run_time"] is not None


def test_what_the_state_does_not_allow_exits_with_1(
    schedule: Schedule, task: ScheduledTask
) -> None:
    said = schedule("resume", task.pk)
    assert (said.code, said.err) == (1, "The task is not paused.\n")


def test_what_a_person_may_not_do_exits_with_1(
    schedule: Schedule, task: ScheduledTask, web_group: DeviceGroup
) -> None:
    web_group.people.clear()
    said = schedule("run", task.pk, "--user", "operator")
    assert said.code == 1
    assert not Execution.objects.exists()


def test_delete_names_what_it_destroys_and_asks(
    schedule: Schedule, task: ScheduledTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builtins, "input", lambda *arguments: "n")
    said = schedule("delete", task.pk)
    assert said.code == 1
    assert task.name in said.err
    assert ScheduledTask.objects.filter(pk=task.pk).exists()
    monkeypatch.setattr(builtins, "input", lambda *arguments: "y")
    assert schedule("delete", task.pk).code == 0
    assert not ScheduledTask.objects.filter(pk=task.pk).exists()


def test_delete_counts_what_no_longer_starts_after_it(
    schedule: Schedule, admin: User, task: ScheduledTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builtins, "input", lambda *arguments: "n")
    assert "after it" not in schedule("delete", task.pk).err
    after = [{"task_id": str(task.pk), "on": "success"}]
    for _number in range(2):
        factories.by_hand(admin, depends_on=after)
    assert "2 tasks no longer start after it." in schedule("delete", task.pk).err


def test_delete_without_anybody_to_ask_deletes_nothing(
    schedule: Schedule, task: ScheduledTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(*arguments: object) -> str:
        raise EOFError

    monkeypatch.setattr(builtins, "input", nobody)
    assert schedule("delete", task.pk).code == 1
    assert ScheduledTask.objects.filter(pk=task.pk).exists()


def test_delete_with_yes_does_not_ask(schedule: Schedule, task: ScheduledTask) -> None:
    assert schedule("delete", task.pk, "--yes", "--json").json["id"] == str(task.pk)
    assert not ScheduledTask.objects.exists()


def test_executions_are_listed_newest_first(
    schedule: Schedule, task: ScheduledTask, admin: User
) -> None:
    other = factories.execution(factories.task(admin), status="skipped")
    mine = [factories.execution(task, status=status) for status in ("failed", "success")]
    newest_first = sorted((str(one.pk) for one in mine), reverse=True)
    listed = schedule("executions", task.pk, "--json").json
    assert [one["id"] for one in listed] == newest_first
    assert len(schedule("executions", "--json").json) == 3
    (skipped,) = schedule("executions", "--status", "skipped", "--json").json
    assert skipped["id"] == str(other.pk)
    assert newest_first[0] in schedule("executions", task.pk).out


def test_stats_count_what_a_person_sees(
    schedule: Schedule, task: ScheduledTask, outsider: User
) -> None:
    numbers = schedule("stats", "--json").json
    assert (numbers["total"], numbers["pending"]) == (1, 1)
    assert numbers["upcoming"][0]["id"] == str(task.pk)
    assert schedule("stats", "--json", "--user", "outsider").json["total"] == 0
    assert task.name in schedule("stats").out


def test_names_are_never_taken_for_markup_or_terminal_commands(
    schedule: Schedule, admin: User
) -> None:
    ScheduledTask.objects.filter(pk=factories.task(admin).pk).update(name="[red]x\x1b[2Jy[/red]")
    assert "[red]xy[/red]" in schedule("list").out


def test_an_unknown_or_deactivated_account_is_refused(schedule: Schedule, operator: User) -> None:
    assert schedule("list", "--user", "nobody").err.startswith("user: ")
    User.objects.filter(pk=operator.pk).update(is_active=False)
    assert schedule("list", "--user", "operator").code == 2


def test_without_an_administrator_an_account_has_to_be_named(
    schedule: Schedule, task: ScheduledTask, admin: User
) -> None:
    User.objects.filter(pk=admin.pk).update(is_active=False)
    said = schedule("list")
    assert (said.code, said.err[:6]) == (2, "user: ")
    assert schedule("list", "--user", "operator").code == 0


def test_a_task_of_a_kind_that_is_gone_is_shown_paused_and_deleted(
    schedule: Schedule, task: ScheduledTask, tmp_path: Path
) -> None:
    ScheduledTask.objects.update(task_type="greeting")
    for arguments in (["list"], ["show", task.pk], ["pause", task.pk], ["resume", task.pk]):
        assert schedule(*arguments).code == 0, arguments
    document = tmp_path / "tasks.json"
    document.write_text(schedule("export").out.replace("Disk space", "Disks"))
    imported = schedule("import", document)
    assert (imported.code, "no type of task 'greeting'" in imported.err) == (2, True)
    assert "no type of task 'greeting'" in schedule("run", "--wait", task.pk).out
    assert schedule("delete", task.pk, "--yes").code == 0
