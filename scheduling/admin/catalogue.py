"""What can be deployed. Files and software are written by the pages and the API, which check them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.translation import gettext, gettext_lazy

from accounts.administration import ReadOnlyAdmin, link, link_to, link_to_list, pretty
from devices.models import InstalledSoftware
from scheduling.models import Blob, ExecutionBlob, Software, SoftwareSource, StoredFile, Upload

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.utils.safestring import SafeString


@admin.register(StoredFile)
class StoredFileAdmin(ReadOnlyAdmin):
    list_display = ("name", "size", "content_type", "user", "created_at")
    list_select_related = ("blob", "user")
    search_fields = ("name", "description", "blob__sha256")
    list_filter = ("created_at",)
    fields = (
        "id", "name", "description", "size", "content_type", "blob_link", "user", "created_at",
        "its_sources", "its_executions", "its_page", "its_content",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description=gettext_lazy("Size in bytes"), ordering="blob__size")
    def size(self, file: StoredFile) -> int:
        return file.blob.size

    @admin.display(description=gettext_lazy("Type"), ordering="blob__content_type")
    def content_type(self, file: StoredFile) -> str:
        return file.blob.content_type

    @admin.display(description=gettext_lazy("Bytes"))
    def blob_link(self, file: StoredFile) -> SafeString | str:
        return link_to(file.blob)

    @admin.display(description=gettext_lazy("Sources"))
    def its_sources(self, file: StoredFile) -> SafeString:
        return link_to_list(SoftwareSource, file.sources.count(), file__id__exact=file.pk)

    @admin.display(description=gettext_lazy("Executions"))
    def its_executions(self, file: StoredFile) -> SafeString:
        number = ExecutionBlob.objects.filter(blob=file.blob_id).count()
        return link_to_list(ExecutionBlob, number, q=file.blob_id)

    @admin.display(description=gettext_lazy("Page"))
    def its_page(self, file: StoredFile) -> SafeString:
        return link(file.get_absolute_url(), file.name)

    @admin.display(description=gettext_lazy("Content"))
    def its_content(self, file: StoredFile) -> SafeString:
        return link(reverse("file-content", args=[file.pk]), gettext("Download"))


@admin.register(Blob)
class BlobAdmin(ReadOnlyAdmin):
    list_display = ("sha256", "size", "content_type", "created_at")
    search_fields = ("sha256__startswith", "content_type")
    list_filter = ("created_at",)
    fields = ("sha256", "size", "content_type", "created_at", "its_files", "its_executions")
    readonly_fields = fields

    @admin.display(description=gettext_lazy("Files"))
    def its_files(self, blob: Blob) -> SafeString:
        return link_to_list(StoredFile, blob.files.count(), q=blob.sha256)

    @admin.display(description=gettext_lazy("Executions"))
    def its_executions(self, blob: Blob) -> SafeString:
        return link_to_list(ExecutionBlob, blob.executions.count(), q=blob.sha256)


@admin.register(Upload)
class UploadAdmin(ReadOnlyAdmin):
    list_display = ("name", "user", "received", "size", "created_at", "expires_at")
    list_select_related = ("user",)
    search_fields = ("name",)
    list_filter = ("created_at",)


@admin.register(Software)
class SoftwareAdmin(ReadOnlyAdmin):
    list_display = ("name", "version", "publisher", "category", "updated_at")
    search_fields = ("name", "version", "publisher", "category", "description")
    list_filter = ("sources__format", "sources__os")
    fields = (
        "id", "name", "version", "publisher", "category", "description", "needs", "user",
        "created_at", "updated_at", "its_sources", "its_dependencies", "its_devices", "its_page",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description=gettext_lazy("Requirements"))
    def needs(self, software: Software) -> SafeString:
        return pretty(software.requirements)

    @admin.display(description=gettext_lazy("Sources"))
    def its_sources(self, software: Software) -> SafeString:
        number = software.sources.count()
        return link_to_list(SoftwareSource, number, software__id__exact=software.pk)

    @admin.display(description=gettext_lazy("Dependencies"))
    def its_dependencies(self, software: Software) -> SafeString:
        rows = software.dependencies.order_by("name")
        return format_html_join(", ", "{}", ((link_to(one),) for one in rows))

    @admin.display(description=gettext_lazy("Devices with it"))
    def its_devices(self, software: Software) -> SafeString:
        found = InstalledSoftware.objects.filter(catalogue_id=software.pk)
        return link_to_list(InstalledSoftware, found.count(), catalogue_id__exact=software.pk)

    @admin.display(description=gettext_lazy("Page"))
    def its_page(self, software: Software) -> SafeString:
        return link(software.get_absolute_url(), software)


@admin.register(SoftwareSource)
class SoftwareSourceAdmin(ReadOnlyAdmin):
    list_display = ("software", "os", "architecture", "format", "package_name")
    list_select_related = ("software",)
    search_fields = ("software__name", "package_name")
    list_filter: ClassVar = ("os", "format")
    fields = (
        "software_link", "position", "os", "architecture", "format", "file_link", "url", "sha256",
        "package_name", "install_command", "upgrade_command", "uninstall_command",
        "detect_command", "success_exit_codes", "reboot_exit_codes",
    )  # fmt: skip
    readonly_fields = fields

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        ours = ("software__id__exact", "file__id__exact")
        return lookup in ours or super().lookup_allowed(lookup, value, request)

    @admin.display(description=gettext_lazy("Software"))
    def software_link(self, source: SoftwareSource) -> SafeString | str:
        return link_to(source.software)

    @admin.display(description=gettext_lazy("File"))
    def file_link(self, source: SoftwareSource) -> SafeString | str:
        return link_to(source.file)


@admin.register(ExecutionBlob)
class ExecutionBlobAdmin(ReadOnlyAdmin):
    list_display = ("blob", "execution")
    list_select_related = ("blob", "execution")
    search_fields = ("blob__sha256__startswith",)
    list_filter = ("execution__status", "execution__created_at")
    fields = ("blob_link", "execution_link")
    readonly_fields = fields

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup == "execution__id__exact" or super().lookup_allowed(lookup, value, request)

    @admin.display(description=gettext_lazy("Bytes"))
    def blob_link(self, held: ExecutionBlob) -> SafeString | str:
        return link_to(held.blob)

    @admin.display(description=gettext_lazy("Execution"))
    def execution_link(self, held: ExecutionBlob) -> SafeString | str:
        return link_to(held.execution)
