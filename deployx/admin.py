"""Other apps' models, shown as ours are: lists that count to a limit, no box with thousands to choose
from, nothing inline. What keeps a plan of ours is to be looked at: the tasks' own verbs write it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allauth.account.models import EmailAddress
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext_lazy
from django_celery_beat.admin import PeriodicTaskForm
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from django_celery_results.models import GroupResult, TaskResult

from accounts.administration import (
    CappedPaginator,
    DeletingAdmin,
    ReadOnlyAdmin,
    VisibleAdmin,
    link_to,
)
from accounts.models import ApiToken, IdempotencyKey
from scheduling.models import Upload

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.utils.safestring import SafeString

    People = UserAdmin[User]
else:
    People = UserAdmin

WHEN = ("interval", "crontab", "solar", "clocked")


class PeriodicTaskAdmin(VisibleAdmin):
    form = PeriodicTaskForm
    list_display = ("name", "enabled", "its_task", "last_run_at", "one_off")
    list_filter = ("enabled", "one_off", "last_run_at")
    list_select_related = ("scheduled_task", *WHEN)
    search_fields = ("name", "task")
    raw_id_fields = WHEN
    readonly_fields = ("its_task", "last_run_at")
    fieldsets = (
        (None, {"fields": ("name", "its_task", "regtask", "task", "enabled", "description")}),
        (
            gettext_lazy("When"),
            {"fields": (*WHEN, "start_time", "expires", "expire_seconds", "one_off")},
        ),
        (gettext_lazy("What"), {"fields": ("args", "kwargs", "queue", "priority", "last_run_at")}),
    )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not is_mirror(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not is_mirror(obj) and super().has_delete_permission(request, obj)

    @admin.display(description=gettext_lazy("Task"))
    def its_task(self, row: Any) -> SafeString | str:
        return link_to(getattr(row, "scheduled_task", None))


def is_mirror(row: Any) -> bool:
    """Whether it is there because a task of ours is."""
    return row is not None and hasattr(row, "scheduled_task")


class ScheduleAdmin(VisibleAdmin):
    """Made, but not changed: many periodic tasks, and plans of ours among them, may share one."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class InUse(admin.SimpleListFilter):
    """Whether a periodic task goes by it."""

    title = gettext_lazy("use")
    parameter_name = "in_use"

    def lookups(self, *args: Any) -> list[tuple[str, Any]]:
        return [("yes", gettext_lazy("in use")), ("no", gettext_lazy("not in use"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        used = Exists(PeriodicTask.objects.filter(crontab=OuterRef("pk")))
        chosen = {"yes": used, "no": ~used}.get(self.value() or "")
        return queryset if chosen is None else queryset.filter(chosen)


class CrontabAdmin(ScheduleAdmin):
    list_display = ("id", "minute", "hour", "day_of_month", "month_of_year", "day_of_week")
    list_filter = (InUse,)
    search_fields = ("minute", "hour")


class ClockedAdmin(ScheduleAdmin):
    list_display = ("id", "clocked_time")
    list_filter = ("clocked_time",)
    search_fields = ("clocked_time",)


class IntervalAdmin(ScheduleAdmin):
    list_display = ("id", "every", "period")
    list_filter = ("period",)
    search_fields = ("every", "period")


class SolarAdmin(ScheduleAdmin):
    list_display = ("id", "event", "latitude", "longitude")
    list_filter = ("event",)
    search_fields = ("event", "latitude", "longitude")


class TaskResultAdmin(ReadOnlyAdmin):
    list_display = ("task_id", "task_name", "status", "worker", "date_done")
    list_filter = ("status", "date_done")
    search_fields = ("task_id__startswith", "task_name")


class GroupResultAdmin(ReadOnlyAdmin):
    list_display = ("group_id", "date_done")
    list_filter = ("date_done",)
    search_fields = ("group_id__startswith",)


class LogEntryAdmin(ReadOnlyAdmin):
    """What was done in these pages, and by whom."""

    list_display = ("action_time", "user", "content_type", "object_repr", "action_flag")
    list_filter = ("action_flag", "action_time")
    list_select_related = ("user", "content_type")
    search_fields = ("object_repr", "user__username")


class PersonAdmin(DeletingAdmin, People):
    goes_with = (ApiToken, IdempotencyKey, LogEntry, Upload)


SHOWN = {
    User: PersonAdmin,
    PeriodicTask: PeriodicTaskAdmin,
    ClockedSchedule: ClockedAdmin,
    CrontabSchedule: CrontabAdmin,
    IntervalSchedule: IntervalAdmin,
    SolarSchedule: SolarAdmin,
    TaskResult: TaskResultAdmin,
    GroupResult: GroupResultAdmin,
}
for model, shown in SHOWN.items():
    admin.site.unregister(model)
    admin.site.register(model, shown)
admin.site.register(LogEntry, LogEntryAdmin)
vars(admin.site._registry[EmailAddress]).update(list_select_related=("user",))
for others in admin.site._registry.values():
    vars(others).update(paginator=CappedPaginator, show_full_result_count=False)
