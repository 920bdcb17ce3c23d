"""Below `/api/schedule/`. The paths are exact: no slash at their ends."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, URLResolver, path

from scheduling.api.calendar import Calendar
from scheduling.api.executions import ExecutionDoor
from scheduling.api.planning import Preview, Stats
from scheduling.api.runs import ExecutionRuns, Output, RunDoor
from scheduling.api.tasks import TaskDoor, TaskExecutions

TASK: dict[str, Any] = {
    "get": "retrieve",
    "put": "update",
    "patch": "partial_update",
    "delete": "destroy",
}
LIST: dict[str, Any] = {"get": "list", "post": "create"}
SHOW: dict[str, Any] = {"get": "retrieve"}


def _verbs(prefix: str, door: type[TaskDoor | ExecutionDoor], *verbs: str) -> list[URLPattern]:
    """`POST …/{id}/<verb>` for each."""
    return [
        path(
            f"{prefix}s/<uuid:pk>/{verb}", door.as_view({"post": verb}), name=f"api-{prefix}-{verb}"
        )
        for verb in verbs
    ]


urlpatterns: list[URLPattern | URLResolver] = [
    path("tasks", TaskDoor.as_view(LIST), name="api-task-list"),
    path("tasks/<uuid:pk>", TaskDoor.as_view(TASK), name="api-task"),
    *_verbs("task", TaskDoor, "pause", "resume", "execute"),
    path(
        "tasks/<uuid:pk>/executions",
        TaskExecutions.as_view({"get": "list"}),
        name="api-task-executions",
    ),
    path("stats", Stats.as_view(), name="api-stats"),
    path("preview", Preview.as_view(), name="api-preview"),
    path("calendar", Calendar.as_view(), name="api-calendar"),
    path("executions", ExecutionDoor.as_view(LIST), name="api-execution-list"),
    path("executions/<uuid:pk>", ExecutionDoor.as_view(SHOW), name="api-execution"),
    *_verbs("execution", ExecutionDoor, "cancel", "pause", "resume", "promote", "abort", "retry"),
    path(
        "executions/<uuid:pk>/restore",
        ExecutionDoor.as_view({"post": "restore"}),
        name="api-execution-restore",
    ),
    path(
        "executions/<uuid:pk>/runs",
        ExecutionRuns.as_view({"get": "list"}),
        name="api-execution-runs",
    ),
    path("runs/<uuid:pk>", RunDoor.as_view(SHOW), name="api-run"),
    path("runs/<uuid:pk>/cancel", RunDoor.as_view({"post": "cancel"}), name="api-run-cancel"),
    path("runs/<uuid:pk>/restore", RunDoor.as_view({"post": "restore"}), name="api-run-restore"),
    path("runs/<uuid:pk>/output", Output.as_view(SHOW), name="api-run-output"),
]
