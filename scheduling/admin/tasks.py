from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.administration import (
    VisibleAdmin,
    for_each,
    for_person,
    link_to,
    link_to_list,
    person,
)
from accounts.rights import is_administrator
from devices.models import Device, DeviceGroup
from scheduling import schedules
from scheduling.admin.forms import DependenciesForm, ReadableJSONField, TaskForm
from scheduling.models import Execution, ScheduledTask, TaskChange, TaskDependency

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.db.models import QuerySet
    from django.forms import ModelForm
    from django.http import HttpRequest
    from django.utils.safestring import SafeString

    DependencyBase = admin.TabularInline[TaskDependency, ScheduledTask]
else:
    DependencyBase = admin.TabularInline

WHEN = (
    "recurrence_type", "recurrence_config", "time_zone", "start_at", "end_at", "max_runs",
    "jitter_seconds", "excluded_dates",
)  # fmt: skip
WHERE = ("device_ids", "its_devices", "group_ids", "its_groups")
HOW = (
    "timeout_seconds", "offline_policy", "expires_after_seconds", "overlap_policy",
    "misfire_policy", "misfire_grace_seconds", "rollout", "retry",
)  # fmt: skip
PLAN = (
    "status", "is_paused", "next_run_time", "next_scheduled_for", "last_run_time",
    "last_execution_status", "execution_count", "scheduled_run_count", "its_executions",
    "its_changes", "mirrored_as", "created_at", "updated_at",
)  # fmt: skip
# An address takes no more of their ids.
MOST_LED_TO = 100


class DependencyInline(DependencyBase):
    model = TaskDependency
    formset = DependenciesForm
    fk_name = "task"
    fields = ("parent", "on")
    autocomplete_fields = ("parent",)
    extra = 0

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        return for_person(person(request), super().get_formset(request, obj, **kwargs))

    # Whoever may write a task may write what it waits for: it is a part of its definition.
    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("scheduling.view_scheduledtask") or self._may_write(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_write(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_write(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_write(request)

    def _may_write(self, request: HttpRequest) -> bool:
        names = ("scheduling.add_scheduledtask", "scheduling.change_scheduledtask")
        return any(request.user.has_perm(name) for name in names)


@admin.register(ScheduledTask)
class ScheduledTaskAdmin(VisibleAdmin):
    """Written by the verbs alone, so that plan and PeriodicTask stay in step with what is typed."""

    form = TaskForm
    inlines: ClassVar = [DependencyInline]
    list_display = (
        "name", "status", "recurrence_type", "next_run_time", "last_execution_status", "user",
    )  # fmt: skip
    list_filter = ("status", "task_type", "recurrence_type", "ad_hoc", "created_at")
    search_fields = ("name", "description", "id__startswith")
    autocomplete_fields = ("user",)
    readonly_fields = (*PLAN, "its_devices", "its_groups")
    fieldsets = (
        (None, {"fields": ("name", "description", "tags", "user")}),
        (gettext_lazy("What"), {"fields": ("task_type", "task_payload")}),
        (gettext_lazy("When"), {"fields": WHEN}),
        (gettext_lazy("Where"), {"fields": WHERE}),
        (gettext_lazy("How"), {"fields": HOW}),
        (gettext_lazy("Plan"), {"fields": PLAN}),
    )
    formfield_overrides: ClassVar = {models.JSONField: {"form_class": ReadableJSONField}}
    actions = ("pause", "resume", "execute_now")
    goes_with = (TaskChange,)

    def visible(self, user: User) -> QuerySet[ScheduledTask]:
        return super().visible(user).select_related("user", "periodic_task")

    def get_readonly_fields(
        self, request: HttpRequest, obj: ScheduledTask | None = None
    ) -> tuple[str, ...]:
        """A new task is its maker's; the kind never changes; administrators hand tasks over."""
        fixed = ["user"] if obj is None or not is_administrator(person(request)) else []
        return (*self.readonly_fields, *fixed, *(["task_type"] if obj is not None else []))

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kw: Any
    ) -> Any:
        return for_person(person(request), super().get_form(request, obj, change, **kw))

    def save_model(self, *args: Any) -> None:
        """`save_related` writes the task, with what it depends on, in one go."""

    def save_related(
        self, request: HttpRequest, form: ModelForm[ScheduledTask], formsets: Any, change: bool
    ) -> None:
        assert isinstance(form, TaskForm)
        data = form.definition()
        for formset in formsets:
            data["depends_on"] = formset.definition()
            # The admin's log of changes asks for these; the task's own entry says all there is.
            formset.new_objects = formset.changed_objects = formset.deleted_objects = []
        user = person(request)
        if change:
            schedules.update(form.instance, user, data, partial=True)
        else:
            form.instance.pk = schedules.create(user, data).pk

    def delete_model(self, request: HttpRequest, obj: ScheduledTask) -> None:
        schedules.delete(obj, person(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ScheduledTask]) -> None:
        for task in queryset:
            schedules.delete(task, person(request))

    @admin.action(description=gettext_lazy("Pause"), permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[ScheduledTask]) -> None:
        verb = partial(schedules.pause, user=person(request))
        for_each(request, queryset, verb, _("%s tasks are paused."))

    @admin.action(description=gettext_lazy("Resume"), permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[ScheduledTask]) -> None:
        verb = partial(schedules.resume, user=person(request))
        for_each(request, queryset, verb, _("%s tasks go on."))

    @admin.action(description=gettext_lazy("Execute now"), permissions=["change"])
    def execute_now(self, request: HttpRequest, queryset: QuerySet[ScheduledTask]) -> None:
        verb = partial(schedules.execute, user=person(request))
        for_each(request, queryset, verb, _("%s tasks were started."))

    @admin.display(description=gettext_lazy("Devices"))
    def its_devices(self, task: ScheduledTask) -> SafeString | str:
        return _targets(Device, task.device_ids)

    @admin.display(description=gettext_lazy("Groups"))
    def its_groups(self, task: ScheduledTask) -> SafeString | str:
        return _targets(DeviceGroup, task.group_ids)

    @admin.display(description=gettext_lazy("Executions"))
    def its_executions(self, task: ScheduledTask) -> SafeString:
        return link_to_list(Execution, task.executions.count(), task__id__exact=task.pk)

    @admin.display(description=gettext_lazy("Changes"))
    def its_changes(self, task: ScheduledTask) -> SafeString:
        return link_to_list(TaskChange, task.changes.count(), task__id__exact=task.pk)

    @admin.display(description=gettext_lazy("PeriodicTask"))
    def mirrored_as(self, task: ScheduledTask) -> SafeString | str:
        return link_to(task.periodic_task)


def _targets(model: type[models.Model], ids: list[str]) -> SafeString | str:
    """How many there are, leading to the list of them, by as many ids as an address takes."""
    if not ids:
        return "—"
    number = _("%(most)s of %(n)s") % {"most": MOST_LED_TO, "n": len(ids)}
    shown = number if len(ids) > MOST_LED_TO else len(ids)
    return link_to_list(model, shown, id__in=",".join(ids[:MOST_LED_TO]))
