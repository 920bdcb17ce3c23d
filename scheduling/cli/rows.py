"""Files, software, devices and groups for people's eyes, and as the API shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count, Q
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from rich.table import Table

from devices.api.serializers import DeviceSerializer, GroupSerializer
from devices.models import Device, DeviceGroup
from scheduling.api.catalogue.files import FileSerializer
from scheduling.api.catalogue.software import SoftwareSerializer
from scheduling.cli.rendering import columns, text, when
from scheduling.models import Software, StoredFile, Upload


def facts(rows: Iterable[tuple[str, object]]) -> Table:
    """One thing, a line a fact; what is empty is left out."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for label, value in rows:
        if str(value):
            table.add_row(text(label, "bold"), text(value))
    return table


def files_json(rows: Iterable[StoredFile]) -> list[Mapping[str, Any]]:
    return [dict(one) for one in FileSerializer(list(rows), many=True).data]


def files(rows: Iterable[StoredFile]) -> Table:
    table = columns(_("ID"), _("Name"), _("Size"), _("Type"), _("Uploaded"), _("Owner"))
    for row in rows:
        table.add_row(
            str(row.pk),
            text(row.name),
            text(filesizeformat(row.blob.size)),
            text(row.blob.content_type),
            when(row.created_at),
            text(row.user.get_username()),
        )
    return table


def file(row: StoredFile, used_by: Sequence[str]) -> Table:
    return facts(
        [
            (_("ID"), row.pk),
            (_("Name"), row.name),
            (_("Description"), row.description),
            (_("Size"), filesizeformat(row.blob.size)),
            (_("Type"), row.blob.content_type),
            ("SHA-256", row.blob.sha256),
            (_("Uploaded"), when(row.created_at)),
            (_("Owner"), row.user.get_username()),
            (_("Used by"), ", ".join(used_by)),
        ]
    )


def uploads_json(rows: Iterable[Upload]) -> list[Mapping[str, Any]]:
    return [
        {
            "id": str(row.pk),
            "name": row.name,
            "received": row.received,
            "size": row.size,
            "created_at": row.created_at,
            "expires_at": row.expires_at,
        }
        for row in rows
    ]


def uploads(rows: Iterable[Upload]) -> Table:
    table = columns(_("ID"), _("Name"), _("Uploaded"), _("Size"), _("Begun"), _("Kept until"))
    for row in rows:
        table.add_row(
            str(row.pk),
            text(row.name),
            text(f"{filesizeformat(row.received)} ({row.hundredths} %)"),
            text(filesizeformat(row.size)),
            when(row.created_at),
            when(row.expires_at),
        )
    return table


def software_json(rows: Iterable[Software]) -> list[Mapping[str, Any]]:
    return [dict(one) for one in SoftwareSerializer(list(rows), many=True).data]


def software(rows: Iterable[Software]) -> Table:
    table = columns(_("ID"), _("Name"), _("Version"), _("Publisher"), _("Category"), _("For"))
    for row in rows:
        sources = ", ".join(
            f"{one.os}/{one.architecture}: {one.format}" for one in row.sources.all()
        )
        cells = (row.name, row.version, row.publisher, row.category, sources)
        table.add_row(str(row.pk), *(text(cell) for cell in cells))
    return table


def entry(row: Software, used_by: Sequence[str]) -> Table:
    needs = ", ".join(f"{name}={number}" for name, number in row.requirements.items())
    sources = [(_("Source"), _source(one)) for one in row.sources.select_related("file")]
    return facts(
        [
            (_("ID"), row.pk),
            (_("Name"), row.name),
            (_("Version"), row.version),
            (_("Publisher"), row.publisher),
            (_("Category"), row.category),
            (_("Description"), row.description),
            (_("Requirements"), needs),
            (_("Needs first"), ", ".join(str(one) for one in row.dependencies.all())),
            *sources,
            (_("Used by"), ", ".join(used_by)),
        ]
    )


def devices_json(rows: Iterable[Device], user: Any) -> list[Mapping[str, Any]]:
    """With the groups that this person sees."""
    seen = DeviceGroup.objects.visible_to(user)
    shown = list(rows)
    through = Device.groups.through.objects.filter(device__in=shown, devicegroup__in=seen)
    pairs = list(through.order_by("devicegroup").values_list("device", "devicegroup"))
    for row in shown:
        row.group_ids = [group for device, group in pairs if device == row.pk]  # type: ignore[attr-defined]
    return [dict(one) for one in DeviceSerializer(shown, many=True).data]


def devices(rows: Iterable[Device]) -> Table:
    table = columns(_("ID"), _("Name"), _("State"), _("System"), _("Last seen"), _("Tags"))
    for row in rows:
        table.add_row(
            str(row.pk),
            text(row.name),
            text(row.status.label),
            text(f"{row.os} {row.architecture}".strip()),
            when(row.last_seen_at),
            text(_tags(row.tags)),
        )
    return table


def device(row: Device, groups: Iterable[DeviceGroup]) -> Table:
    installed = row.software.order_by("name")[:50]
    return facts(
        [
            (_("ID"), row.pk),
            (_("Name"), row.name),
            (_("State"), row.status.label),
            (_("Host name"), row.hostname),
            (_("System"), f"{row.os} {row.architecture}".strip()),
            (_("Agent"), row.agent_version),
            (_("Last seen"), when(row.last_seen_at)),
            (_("Tags"), _tags(row.tags)),
            (_("Groups"), ", ".join(one.name for one in groups)),
            (_("Software"), ", ".join(str(one) for one in installed)),
        ]
    )


def counted(groups: Any) -> Any:
    """Groups with what their serializer and their table show."""
    return groups.annotate(
        device_count=Count("devices", distinct=True),
        people_ids=ArrayAgg("people", distinct=True, default=[], filter=Q(people__isnull=False)),
        member_ids=ArrayAgg("devices", distinct=True, default=[], filter=Q(devices__isnull=False)),
    ).order_by("name", "pk")


def groups_json(rows: Iterable[Any]) -> list[Mapping[str, Any]]:
    return [dict(one) for one in GroupSerializer(list(rows), many=True).data]


def groups(rows: Iterable[Any]) -> Table:
    table = columns(_("ID"), _("Name"), _("Devices"), _("Query"))
    for row in rows:
        table.add_row(str(row.pk), text(row.name), str(row.device_count), text(row.query))
    return table


def group(row: Any) -> Table:
    members = row.devices.order_by("name")[:50]
    return facts(
        [
            (_("ID"), row.pk),
            (_("Name"), row.name),
            (_("Description"), row.description),
            (_("Query"), row.query),
            (_("Devices"), row.device_count),
            (_("Members"), ", ".join(one.name for one in members)),
            (_("People"), ", ".join(one.get_username() for one in row.people.all())),
        ]
    )


def _source(source: Any) -> str:
    what = source.file.name if source.file else source.url or source.package_name
    return f"{source.os}/{source.architecture}: {source.format} {what}"


def _tags(tags: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" if value else name for name, value in tags.items())
