"""`schedule export` and `schedule import`."""

from __future__ import annotations

import builtins
import io
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from devices.models import DeviceGroup
from scheduling import schedules
from scheduling.models import ScheduledTask
from scheduling.porting import document
from scheduling.tests import factories
from scheduling.tests.cli.conftest import Schedule


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`answers("y")`: somebody sits at a terminal and says so."""

    def answer(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", Terminal())
        monkeypatch.setattr(builtins, "input", lambda *_prompt: text)

    return answer


@pytest.fixture
def file(schedule: Schedule, task: ScheduledTask, tmp_path: Path) -> Path:
    """An export of `task`."""
    path = tmp_path / "tasks.yaml"
    assert schedule("export", "--output", path).code == 0
    return path


def rename(file: Path, name: str) -> None:
    file.write_text(file.read_text().replace("name: Disk space", f"name: {name}"))


def test_an_export_is_yaml_that_a_person_can_read(schedule: Schedule, task: ScheduledTask) -> None:
    text = schedule("export").out
    assert text.startswith("# Tasks of DeployX")
    for line in ("  name: Disk space", "  owner: operator", '    time: "02:00"', "    name: web"):
        assert line in text.splitlines()
    assert document.read(text.encode()) == schedule("export", "--json").json
    assert "misfire_policy" not in text  # it has its default


def test_the_tasks_named_are_exported_once_each(
    schedule: Schedule, admin: User, task: ScheduledTask
) -> None:
    factories.task(admin, name="Other")
    listed = schedule("export", task.pk, "Disk space", "--json").json["tasks"]
    assert [one["name"] for one in listed] == ["Disk space"]
    assert len(schedule("export", "--json").json["tasks"]) == 2
    said = schedule("export", "Nothing", "Nobody")
    assert said.code == 2
    assert said.err.splitlines() == [
        "task: There is no task “Nothing”.", "task: There is no task “Nobody”."
    ]  # fmt: skip


def test_people_export_their_own_tasks_alone(
    schedule: Schedule, task: ScheduledTask, outsider: User
) -> None:
    assert schedule("export", "--json", "--user", "outsider").json["tasks"] == []
    assert schedule("export", task.pk, "--user", "outsider").code == 2


def test_the_file_is_for_its_owners_eyes(file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_written_or_read_is_named(
    schedule: Schedule, task: ScheduledTask, tmp_path: Path
) -> None:
    path = tmp_path / "none" / "tasks.yaml"
    for arguments in (["export", "--output", path], ["import", path]):
        said = schedule(*arguments)
        assert said.code == 2
        assert str(path) in said.err


def test_an_export_that_no_import_would_read_says_so(
    schedule: Schedule, task: ScheduledTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "MAX_BYTES", 100)
    assert "export fewer at a time" in schedule("export").err


def test_an_import_on_an_empty_system_makes_the_tasks_again(
    schedule: Schedule, task: ScheduledTask, admin: User, file: Path
) -> None:
    schedules.delete(task, admin)
    said = schedule("import", file, "--yes")
    assert said.code == 0, said.err
    assert "1 to create, 0 to change, 0 to delete, 0 unchanged." in said.out
    again = ScheduledTask.objects.get()
    assert (again.pk, again.user, again.group_ids) == (task.pk, task.user, task.group_ids)
    assert again.next_run_time == task.next_run_time


def test_the_plan_names_what_changes_and_a_dry_run_does_nothing(
    schedule: Schedule, task: ScheduledTask, file: Path
) -> None:
    rename(file, "Space")
    said = schedule("import", file, "--dry-run")
    assert said.code == 0
    (line,) = [line for line in said.out.splitlines() if str(task.pk) in line]
    assert line.startswith("change")
    assert 'name: "Disk space" → "Space"' in line
    task.refresh_from_db()
    assert task.name == "Disk space"


def test_with_nothing_to_do_nobody_is_asked(schedule: Schedule, file: Path) -> None:
    said = schedule("import", file)
    assert said.code == 0
    assert "nothing to do" in said.out


def test_it_asks_and_heeds_the_answer(
    schedule: Schedule, task: ScheduledTask, file: Path, answers: Any
) -> None:
    rename(file, "Space")
    answers("n")
    said = schedule("import", file)
    assert said.code == 1
    assert "Go on with this 1 task?" in said.err
    assert "Nothing was imported." in said.err
    task.refresh_from_db()
    assert task.name == "Disk space"
    answers("y")
    assert schedule("import", file).code == 0
    task.refresh_from_db()
    assert task.name == "Space"


def test_where_nobody_answers_it_wants_yes(
    schedule: Schedule, task: ScheduledTask, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename(file, "Space")
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    said = schedule("import", file)
    assert said.code == 1
    assert "say --yes" in said.err
    task.refresh_from_db()
    assert task.name == "Disk space"


def test_prune_shows_what_it_destroys(
    schedule: Schedule, task: ScheduledTask, operator: User, web_group: DeviceGroup, file: Path
) -> None:
    gone = factories.task(operator, name="Gone", groups=[web_group])
    factories.execution(gone, status="success")
    assert "Gone" not in schedule("import", file).out
    said = schedule("import", file, "--prune", "--yes")
    (line,) = [line for line in said.out.splitlines() if "Gone" in line]
    assert line.startswith("delete")
    assert "0 runs under way are cancelled; its 1 executions stay readable" in line
    assert list(ScheduledTask.objects.all()) == [task]


def test_json_is_alone_on_standard_output(
    schedule: Schedule, task: ScheduledTask, file: Path
) -> None:
    rename(file, "Space")
    said = schedule("import", file, "--yes", "--json")
    assert said.json == {
        "prune": False,
        "steps": [
            {
                "action": "change",
                "id": str(task.pk),
                "name": "Space",
                "owner": "operator",
                "changes": {"name": {"before": "Disk space", "after": "Space"}},
                "loss": None,
                "warnings": [],
            }
        ],
    }
    assert "Done." in said.err


def test_every_wrong_entry_is_told_and_nothing_is_imported(
    schedule: Schedule, file: Path, task: ScheduledTask
) -> None:
    rename(file, "Space\n  max_runs: 0")
    said = schedule("import", file, "--yes")
    assert said.code == 2
    assert said.err.startswith("entry 1 “Space”, max_runs: must be a whole number")
    task.refresh_from_db()
    assert task.name == "Disk space"


def test_a_hostile_file_is_refused_with_the_place(
    schedule: Schedule, tmp_path: Path, admin: User
) -> None:
    path = tmp_path / "bomb.yaml"
    path.write_text("version: 1\ntasks: [!!python/object/apply:os.abort []]\n")
    said = schedule("import", path, "--yes")
    assert said.code == 2
    assert said.err == "file: Line 2, column 9: Tags are not taken.\n"
    path.write_bytes(b"a: " + b"x" * 300_000)
    assert "larger than 256 KiB" in schedule("import", path, "--yes").err


def test_standard_input_is_read_and_then_cannot_answer(
    schedule: Schedule, task: ScheduledTask, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename(file, "Space")

    def given() -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(file.read_bytes())))

    given()
    assert "say --yes" in schedule("import", "-").err
    given()
    assert schedule("import", "-", "--yes").code == 0
    task.refresh_from_db()
    assert task.name == "Space"


def test_an_operator_imports_with_their_own_rights(
    schedule: Schedule, task: ScheduledTask, operator: User, file: Path
) -> None:
    rename(file, "Space")
    assert schedule("import", file, "--yes", "--user", "operator").code == 0
    operator.device_groups.clear()
    rename(file, "Again")
    file.write_text(file.read_text().replace("name: Space", "name: Again"))
    said = schedule("import", file, "--yes", "--user", "operator")
    assert said.code == 2
    assert "You may not use every target of this task." in said.err
