from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.template.loader import render_to_string
from django.test.utils import CaptureQueriesContext

from devices.models import DeviceGroup
from scheduling import charts
from scheduling.charts import drawing
from scheduling.models import Execution, ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.django_db

NOW = factories.moment("2026-03-29T12:00")


def ended(task: ScheduledTask, status: str, at: str, *, took: int = 10) -> Execution:
    """An execution that ended then, after so many seconds."""
    made = factories.execution(task, status=status)
    end = factories.moment(at)
    Execution.objects.filter(pk=made.pk).update(
        completed_at=end, started_at=end - timedelta(seconds=took)
    )
    return made


def rows(chart: charts.Chart) -> dict[str, list[str]]:
    return {column.label: list(column.cells) for column in chart.columns}


def test_each_day_says_how_many_ended_and_how(operator: User, task: ScheduledTask) -> None:
    for status in ("success", "success", "failed", "missed", "skipped", "cancelled"):
        ended(task, status, "2026-03-28T10:00")
    days = charts.of_days(operator, "UTC", now=NOW)
    assert rows(days.chart)["Sat 28 Mar"] == ["2", "0", "1", "1", "2"]
    assert rows(days.chart)["Sun 29 Mar"] == ["0", "0", "0", "0", "0"]
    assert (days.succeeded, days.judged, days.percent) == (2, 4, 50)


def test_a_day_is_one_of_the_zone_that_is_named(operator: User, task: ScheduledTask) -> None:
    ended(task, "success", "2026-03-28T23:30")
    days = charts.of_days(operator, "Europe/Berlin", now=NOW)
    assert rows(days.chart)["Sun 29 Mar"][0] == "1"
    assert "Europe/Berlin" in days.chart.summary


def test_days_that_have_passed_are_not_counted_at_each_look(
    operator: User, task: ScheduledTask
) -> None:
    ended(task, "success", "2026-03-28T10:00")
    first = charts.of_days(operator, "UTC", now=NOW)
    ended(task, "success", "2026-03-29T10:00")
    with CaptureQueriesContext(connection) as queries:
        again = charts.of_days(operator, "UTC", now=NOW)
    assert (first.succeeded, again.succeeded, len(queries)) == (1, 2, 1)


def test_the_days_show_nothing_of_others(outsider: User, task: ScheduledTask) -> None:
    ended(task, "success", "2026-03-28T10:00")
    assert charts.of_days(outsider, "UTC", now=NOW).percent is None


def test_an_axis_ends_at_a_round_number() -> None:
    assert [drawing.round_top(one) for one in (0, 1, 2, 3, 7, 11, 999)] == [
        1, 1, 2, 5, 10, 20, 1000,
    ]  # fmt: skip


def test_pieces_of_a_bar_stand_on_each_other() -> None:
    series = [drawing.Series("a", "good"), drawing.Series("b", "bad")]
    (bar,) = drawing.stacked([drawing.Column("one", ["1"])], series, [(1, 3)], 5)
    assert [(one.y, one.height) for one in bar.pieces] == [("80.00", "20.00"), ("20.00", "60.00")]


def test_a_tasks_charts_are_of_what_ran_to_an_end(task: ScheduledTask) -> None:
    ended(task, "success", "2026-03-27T10:00", took=60)
    ended(task, "skipped", "2026-03-28T10:00")
    ended(task, "failed", "2026-03-29T10:00", took=30)
    shown = charts.of_task(task, task.user)
    assert [list(one.cells) for one in shown.durations.columns] == [
        ["1 min 0 s", "Success"],
        ["30 s", "Failed"],
    ]
    assert shown.success.summary == "1 of the last 2 executions succeeded (50 %)."


def test_each_time_on_a_tasks_charts_names_its_zone(operator: User, web_group: DeviceGroup) -> None:
    task = factories.task(operator, groups=[web_group], time_zone="Asia/Tokyo")
    ended(task, "success", "2026-03-28T10:00", took=60)
    shown, when = charts.of_task(task, task.user), "Sat 28 Mar 2026, 18:59 Asia/Tokyo"
    assert shown.durations.first == when
    assert shown.durations.dots[0].title == f"{when}: 1 min 0 s, Success"
    assert shown.success.bars[0].title.startswith(when)


def test_a_tasks_charts_show_nothing_of_others(admin: User, task: ScheduledTask) -> None:
    one = ended(task, "success", "2026-03-28T10:00")
    Execution.objects.filter(pk=one.pk).update(owner=admin, user=admin)
    assert charts.of_task(task, task.user).is_empty
    assert not charts.of_task(task, admin).is_empty


def test_a_task_that_has_not_run_has_no_charts(task: ScheduledTask) -> None:
    assert charts.of_task(task, task.user).is_empty


def test_a_tasks_charts_are_one_query(task: ScheduledTask) -> None:
    for _ in range(3):
        ended(task, "success", "2026-03-28T10:00")
    with CaptureQueriesContext(connection) as captured:
        charts.of_task(task, task.user)
    assert len(captured) == 1


def test_one_failure_among_many_is_not_a_hundred_per_cent(task: ScheduledTask) -> None:
    one = ended(task, "partial", "2026-03-28T10:00")
    result = {"devices_targeted": 1000, "devices_succeeded": 999, "devices_failed": 1}
    Execution.objects.filter(pk=one.pk).update(result=result)
    assert charts.of_task(task, task.user).success.columns[0].cells[0] == "99 %"


def test_the_picture_has_a_name_and_the_same_figures_as_a_table(task: ScheduledTask) -> None:
    one = ended(task, "success", "2026-03-28T10:00")
    page = render_to_string(
        "charts/_chart.html", {"chart": charts.of_task(task, task.user).durations}
    )
    assert 'role="img" aria-labelledby="chart-durations-title chart-durations-desc"' in page
    assert f'<a href="{one.get_absolute_url()}">Sat 28 Mar 2026, 09:59 UTC</a>' in page
    assert "style=" not in page
