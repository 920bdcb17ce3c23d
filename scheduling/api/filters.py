"""What lists can be narrowed down by. A value that is not accepted is a 400 under its name."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast
from uuid import UUID

import django_filters as filters
from django.db.models import Q, QuerySet

from accounts.api.ordering import Ordering
from devices.agent import kinds
from devices.models import DeviceGroup
from scheduling.models import (
    DeviceRun,
    Execution,
    ScheduledTask,
    Software,
    SoftwareSource,
    StoredFile,
)

ORDERINGS = ("name", "status", "next_run_time", "last_run_time", "created_at", "updated_at")


class TaskFilters(filters.FilterSet):  # type: ignore[misc]
    status = filters.ChoiceFilter(choices=ScheduledTask.Status.choices)
    task_type = filters.ChoiceFilter(choices=kinds.choices)
    recurrence_type = filters.ChoiceFilter(choices=ScheduledTask.RecurrenceType.choices)
    device = filters.UUIDFilter(method="reaching", label="Named itself or by a group it is in.")
    group = filters.UUIDFilter(method="naming_group")
    tag = filters.CharFilter(method="tagged")
    search = filters.CharFilter(field_name="name", lookup_expr="icontains", label="In the name.")
    ad_hoc = filters.ChoiceFilter(
        choices=[("true", "true"), ("false", "false")],
        method="with_ad_hoc",
        label='true: those that "Execute now" made as well.',
    )
    ordering = Ordering(fields=ORDERINGS)

    class Meta:
        model = ScheduledTask
        fields: tuple[str, ...] = ()

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        narrowed: QuerySet[Any] = super().filter_queryset(queryset)
        wants_all = self.form.cleaned_data["ad_hoc"] == "true"
        return narrowed if wants_all else narrowed.filter(ad_hoc=False)

    def with_ad_hoc(self, queryset: QuerySet[Any], _name: str, _value: str) -> QuerySet[Any]:
        return queryset

    def reaching(self, queryset: QuerySet[Any], _name: str, device: UUID) -> QuerySet[Any]:
        wanted = Q(device_ids__contains=[str(device)])
        for group in DeviceGroup.objects.filter(devices=device).values_list("pk", flat=True):
            wanted |= Q(group_ids__contains=[str(group)])
        return queryset.filter(wanted)

    def naming_group(self, queryset: QuerySet[Any], _name: str, group: UUID) -> QuerySet[Any]:
        return queryset.filter(group_ids__contains=[str(group)])

    def tagged(self, queryset: QuerySet[Any], _name: str, tag: str) -> QuerySet[Any]:
        return queryset.filter(tags__contains=[tag])


class ExecutionFilters(filters.FilterSet):  # type: ignore[misc]
    task = filters.UUIDFilter(field_name="task_id")
    device = filters.UUIDFilter(method="on_device")
    status = filters.ChoiceFilter(choices=Execution.Status.choices)
    trigger = filters.ChoiceFilter(choices=Execution.Trigger.choices)
    to = filters.IsoDateTimeFilter(method="opened_before", label="Opened before this instant.")
    # `from` is a word of Python's.
    locals()["from"] = filters.IsoDateTimeFilter(
        method="opened_from", label="Opened at this instant or later."
    )

    class Meta:
        model = Execution
        fields: tuple[str, ...] = ()

    def on_device(self, queryset: QuerySet[Any], _name: str, device: UUID) -> QuerySet[Any]:
        runs = DeviceRun.objects.filter(device=device)
        return queryset.filter(pk__in=runs.values("execution"))

    def opened_from(self, queryset: Any, _name: str, moment: datetime) -> QuerySet[Any]:
        return cast("QuerySet[Any]", queryset.opened_from(moment))

    def opened_before(self, queryset: Any, _name: str, moment: datetime) -> QuerySet[Any]:
        return cast("QuerySet[Any]", queryset.opened_before(moment))


class RunFilters(filters.FilterSet):  # type: ignore[misc]
    status = filters.ChoiceFilter(choices=DeviceRun.Status.choices)
    search = filters.CharFilter(
        field_name="device_name", lookup_expr="icontains", label="In the device's name."
    )

    class Meta:
        model = DeviceRun
        fields: tuple[str, ...] = ()


class FileFilters(filters.FilterSet):  # type: ignore[misc]
    search = filters.CharFilter(field_name="name", lookup_expr="icontains", label="In the name.")
    sha256 = filters.CharFilter(field_name="blob__sha256", lookup_expr="iexact")
    ordering = Ordering(fields=("name", "created_at"))

    class Meta:
        model = StoredFile
        fields: tuple[str, ...] = ()


class SoftwareFilters(filters.FilterSet):  # type: ignore[misc]
    search = filters.CharFilter(method="found_by", label="In name, publisher and description.")
    category = filters.CharFilter(lookup_expr="iexact")
    os = filters.CharFilter(method="for_os", label="With a source for this system.")
    ordering = Ordering(fields=("name", "version", "publisher", "category", "updated_at"))

    class Meta:
        model = Software
        fields: tuple[str, ...] = ()

    def found_by(self, queryset: QuerySet[Any], _name: str, text: str) -> QuerySet[Any]:
        names = ("name", "publisher", "description")
        wanted = [Q(**{f"{name}__icontains": text}) for name in names]
        return queryset.filter(wanted[0] | wanted[1] | wanted[2])

    def for_os(self, queryset: QuerySet[Any], _name: str, system: str) -> QuerySet[Any]:
        return queryset.filter(pk__in=SoftwareSource.objects.filter(os=system).values("software"))
