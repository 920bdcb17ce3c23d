from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import F, Func, IntegerField
from django.utils.translation import gettext_lazy

from accounts.administration import ReadOnlyAdmin, link_to, link_to_list, one_of, pretty
from accounts.rights import is_administrator
from devices.agent import kinds
from scheduling.models import (
    Alarm,
    DeviceRun,
    Execution,
    ExecutionBlob,
    OutputChunk,
    OutputGap,
    ServiceHeartbeat,
    TaskChange,
)

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.utils.safestring import SafeString


@admin.register(Execution)
class ExecutionAdmin(ReadOnlyAdmin):
    list_display = ("task_name", "status", "trigger", "created_at", "completed_at")
    list_filter = (
        "status", "trigger", "opened_by", one_of("task_type", gettext_lazy("Type"), kinds.choices),
        "created_at",
    )  # fmt: skip
    search_fields = ("task_name", "id__startswith")
    fields = (
        "id", "task_link", "task_name", "task_type", "status", "error_message", "trigger",
        "opened_by", "cause", "user", "owner", "scheduled_for", "due_at", "created_at",
        "started_at", "completed_at", "cancel_requested_at", "rollout_paused_at",
        "rollout_paused_by", "abort_requested_at", "abort_reason", "open_wave", "its_runs", "its_files",
        "counted", "snapshot",
    )  # fmt: skip
    readonly_fields = fields

    def visible(self, user: User) -> QuerySet[Execution]:
        found = super().visible(user)
        return found.select_related("user", "owner").defer("payload", "rollback_payload")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup == "task__id__exact" or super().lookup_allowed(lookup, value, request)

    @admin.display(description=gettext_lazy("Task"))
    def task_link(self, execution: Execution) -> SafeString | str:
        return link_to(execution.task)

    @admin.display(description=gettext_lazy("Caused by"))
    def cause(self, execution: Execution) -> SafeString | str:
        return link_to(execution.caused_by)

    @admin.display(description=gettext_lazy("Runs"))
    def its_runs(self, execution: Execution) -> SafeString:
        return link_to_list(DeviceRun, execution.runs.count(), execution__id__exact=execution.pk)

    @admin.display(description=gettext_lazy("Files its devices may fetch"))
    def its_files(self, execution: Execution) -> SafeString:
        number = execution.blobs.count()
        return link_to_list(ExecutionBlob, number, execution__id__exact=execution.pk)

    @admin.display(description=gettext_lazy("Result"))
    def counted(self, execution: Execution) -> SafeString:
        return pretty(execution.result)

    @admin.display(description=gettext_lazy("Definition"))
    def snapshot(self, execution: Execution) -> SafeString:
        return pretty(execution.definition)


@admin.register(DeviceRun)
class DeviceRunAdmin(ReadOnlyAdmin):
    """Without its signed terms: they are the device's to judge."""

    list_display = ("device_name", "status", "exit_code", "started_at", "finished_at")
    list_filter = ("status", "was_lost", "is_last_attempt", "output_truncated", "created_at")
    search_fields = ("device_name", "id__startswith")
    fields = (
        "id", "execution_link", "device_link", "device_name", "status", "was_lost",
        "error_message", "attempt", "is_last_attempt", "wave", "rolls_back", "is_exclusive",
        "has_slot", "created_at", "not_before", "queued_at", "not_after", "claimed_at",
        "started_at", "deadline_at", "finished_at", "cancel_requested_at", "timeout_seconds",
        "key_id", "exit_code", "details", "output_next", "output_kept", "output_truncated",
        "is_output_verified",
        "output_link", "gaps_link",
    )  # fmt: skip
    readonly_fields = fields

    def visible(self, user: User) -> QuerySet[DeviceRun]:
        return super().visible(user).defer("terms", "signature")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        ours = ("execution__id__exact", "device__id__exact")
        return lookup in ours or super().lookup_allowed(lookup, value, request)

    @admin.display(description=gettext_lazy("Execution"))
    def execution_link(self, run: DeviceRun) -> SafeString | str:
        return link_to(run.execution)

    @admin.display(description=gettext_lazy("Device"))
    def device_link(self, run: DeviceRun) -> SafeString | str:
        return link_to(run.device)

    @admin.display(description=gettext_lazy("Details"))
    def details(self, run: DeviceRun) -> SafeString:
        return pretty(run.detail)

    @admin.display(description=gettext_lazy("Output"))
    def output_link(self, run: DeviceRun) -> SafeString:
        return link_to_list(OutputChunk, run.output_chunks.count(), run__id__exact=run.pk)

    @admin.display(description=gettext_lazy("Gaps"))
    def gaps_link(self, run: DeviceRun) -> SafeString:
        return link_to_list(OutputGap, run.output_gaps.count(), run__id__exact=run.pk)


class _OutputAdmin(ReadOnlyAdmin):
    """A part of a run's output: where it is and how long, to be found by its run."""

    search_fields = ("run__id__startswith",)
    list_select_related = ("run",)

    def visible(self, user: User) -> QuerySet[Any]:
        if is_administrator(user):
            return super().visible(user)
        runs = DeviceRun.objects.visible_to(user)
        found: QuerySet[Any] = self.model._default_manager.filter(run__in=runs)
        return found

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup == "run__id__exact" or super().lookup_allowed(lookup, value, request)

    @admin.display(description=gettext_lazy("Run"))
    def run_link(self, part: OutputChunk | OutputGap) -> SafeString | str:
        return link_to(part.run)


@admin.register(OutputChunk)
class OutputChunkAdmin(_OutputAdmin):
    list_display = ("id", "run", "offset", "stream", "size", "written_at")
    list_filter = ("stream", "written_at")
    fields = ("run_link", "offset", "stream", "size", "written_at")
    readonly_fields = fields

    def visible(self, user: User) -> QuerySet[Any]:
        size = Func(F("data"), function="octet_length", output_field=IntegerField())
        found: QuerySet[Any] = super().visible(user).defer("data").annotate(size=size)
        return found

    @admin.display(description=gettext_lazy("Bytes"), ordering="size")
    def size(self, chunk: Any) -> int:
        return int(chunk.size)


@admin.register(OutputGap)
class OutputGapAdmin(_OutputAdmin):
    list_display = ("id", "run", "offset", "bytes")
    list_filter = ("run__status", "run__created_at")
    fields = ("run_link", "offset", "bytes")
    readonly_fields = fields


@admin.register(ServiceHeartbeat)
class ServiceHeartbeatAdmin(ReadOnlyAdmin):
    list_display = ("kind", "name", "started_at", "seen_at")
    list_filter = ("kind",)
    search_fields = ("name",)
    fields = list_display


@admin.register(Alarm)
class AlarmAdmin(ReadOnlyAdmin):
    list_display = ("kind", "device_name", "run_id", "number", "first_seen_at", "last_seen_at")
    list_filter = ("kind", "last_seen_at")
    search_fields = ("device_name", "run_id__startswith")
    fields = (
        "kind", "device_link", "device_name", "run_id", "number", "first_seen_at", "last_seen_at",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description=gettext_lazy("Device"))
    def device_link(self, alarm: Alarm) -> SafeString | str:
        return link_to(alarm.device)


@admin.register(TaskChange)
class TaskChangeAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "verb", "task", "user")
    list_select_related = ("task", "user")
    list_filter = ("verb", "created_at")
    search_fields = ("task__name", "user__username")
    fields = ("id", "created_at", "verb", "task_link", "user", "what_changed")
    readonly_fields = fields

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup == "task__id__exact" or super().lookup_allowed(lookup, value, request)

    @admin.display(description=gettext_lazy("Task"))
    def task_link(self, change: TaskChange) -> SafeString | str:
        return link_to(change.task)

    @admin.display(description=gettext_lazy("What changed"))
    def what_changed(self, change: TaskChange) -> SafeString:
        return pretty(change.fields)
