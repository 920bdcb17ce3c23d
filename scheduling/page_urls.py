from __future__ import annotations

from django.urls import path

from scheduling.views import (
    devices,
    executions,
    health,
    overview,
    steering,
    task_actions,
    task_form,
    tasks,
)

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("tasks/", tasks.task_list, name="task-list"),
    path("tasks/new", task_form.task_new, name="task-new"),
    path("tasks/preview", task_form.task_preview, name="task-preview"),
    path("tasks/targets", task_form.task_targets, name="task-targets"),
    path("tasks/<uuid:pk>/", tasks.task_detail, name="task"),
    path("tasks/<uuid:pk>/edit", task_form.task_edit, name="task-edit"),
    path("tasks/<uuid:pk>/pause", task_actions.task_pause, name="task-pause"),
    path("tasks/<uuid:pk>/resume", task_actions.task_resume, name="task-resume"),
    path("tasks/<uuid:pk>/execute", task_actions.task_execute, name="task-execute"),
    path("tasks/<uuid:pk>/delete", task_actions.task_delete, name="task-delete"),
    path("executions/", executions.execution_list, name="execution-list"),
    path("executions/<uuid:pk>/", executions.execution_detail, name="execution"),
    path("executions/<uuid:pk>/cancel", steering.execution_cancel, name="execution-cancel"),
    path("executions/<uuid:pk>/retry", steering.execution_retry, name="execution-retry"),
    path("executions/<uuid:pk>/pause", steering.rollout_pause, name="rollout-pause"),
    path("executions/<uuid:pk>/resume", steering.rollout_resume, name="rollout-resume"),
    path("executions/<uuid:pk>/promote", steering.rollout_promote, name="rollout-promote"),
    path("executions/<uuid:pk>/abort", steering.rollout_abort, name="rollout-abort"),
    path("runs/<uuid:pk>/cancel", steering.run_cancel, name="run-cancel"),
    path("health/", health.system, name="health"),
    path("devices/<uuid:pk>/", devices.device_detail, name="device"),
    path("devices/<uuid:pk>/revoke", devices.device_revoke, name="device-revoke"),
    path("devices/<uuid:pk>/delete", devices.device_delete, name="device-delete"),
    path("groups/<uuid:pk>/delete", devices.group_delete, name="group-delete"),
]
