"""What can be deployed. Files and software are written by the pages and the API, which check them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.contrib import admin
from django.utils.translation import gettext_lazy

from accounts.administration import ReadOnlyAdmin, link_to_list, pretty
from scheduling.models import Blob, ExecutionBlob, Software, SoftwareSource, StoredFile, Upload

if TYPE_CHECKING:
    from django.utils.safestring import SafeString


@admin.register(StoredFile)
class StoredFileAdmin(ReadOnlyAdmin):
    list_display = ("name", "size", "content_type", "user", "created_at")
    list_select_related = ("blob", "user")
    search_fields = ("name", "description", "blob__sha256")
    list_filter = ("created_at",)
    fields = ("id", "name", "description", "size", "content_type", "blob", "user", "created_at")
    readonly_fields = fields

    @admin.display(description=gettext_lazy("Size in bytes"), ordering="blob__size")
    def size(self, file: StoredFile) -> int:
        return file.blob.size

    @admin.display(description=gettext_lazy("Type"), ordering="blob__content_type")
    def content_type(self, file: StoredFile) -> str:
        return file.blob.content_type


@admin.register(Blob)
class BlobAdmin(ReadOnlyAdmin):
    list_display = ("sha256", "size", "content_type", "created_at")
    search_fields = ("sha256__startswith",)
    list_filter = ("content_type", "created_at")
    fields = ("sha256", "size", "content_type", "created_at", "its_files")
    readonly_fields = fields

    @admin.display(description=gettext_lazy("Files"))
    def its_files(self, blob: Blob) -> SafeString:
        return link_to_list(StoredFile, blob.files.count(), q=blob.sha256)


@admin.register(Upload)
class UploadAdmin(ReadOnlyAdmin):
    list_display = ("name", "user", "received", "size", "created_at", "expires_at")
    list_select_related = ("user",)
    search_fields = ("name",)
    list_filter = ("created_at",)


@admin.register(Software)
class SoftwareAdmin(ReadOnlyAdmin):
    list_display = ("name", "version", "publisher", "category", "updated_at")
    search_fields = ("name", "version", "publisher", "description")
    list_filter = ("category", "sources__format", "sources__os")
    fields = (
        "id", "name", "version", "publisher", "category", "description", "needs", "user",
        "created_at", "updated_at", "its_sources",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description=gettext_lazy("Requirements"))
    def needs(self, software: Software) -> SafeString:
        return pretty(software.requirements)

    @admin.display(description=gettext_lazy("Sources"))
    def its_sources(self, software: Software) -> SafeString:
        number = software.sources.count()
        return link_to_list(SoftwareSource, number, software__id__exact=software.pk)


@admin.register(SoftwareSource)
class SoftwareSourceAdmin(ReadOnlyAdmin):
    list_display = ("software", "os", "architecture", "format", "package_name")
    list_select_related = ("software",)
    search_fields = ("software__name", "package_name")
    list_filter: ClassVar = ("os", "format")


@admin.register(ExecutionBlob)
class ExecutionBlobAdmin(ReadOnlyAdmin):
    list_display = ("blob", "execution")
    list_select_related = ("blob", "execution")
    search_fields = ("blob__sha256__startswith",)
