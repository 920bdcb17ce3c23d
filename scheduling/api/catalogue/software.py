"""`/api/software`: the catalogue."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import person
from accounts.api.bodies import body
from accounts.api.doors import Door
from accounts.api.etags import tagged
from accounts.api.idempotency import idempotent
from devices.agent.software_formats import SYSTEMS, choices
from scheduling.api.filters import SoftwareFilters
from scheduling.catalogue import software
from scheduling.models import Software, SoftwareSource

_CODE = serializers.IntegerField


class SourceSerializer(serializers.ModelSerializer[SoftwareSource]):
    file_id = serializers.UUIDField(allow_null=True)
    success_exit_codes = serializers.ListField(child=_CODE())
    reboot_exit_codes = serializers.ListField(child=_CODE())

    class Meta:
        model = SoftwareSource
        fields: ClassVar = (
            "os", "architecture", "format", "file_id", "url", "sha256", "package_name",
            "install_command", "upgrade_command", "uninstall_command", "detect_command",
            "success_exit_codes", "reboot_exit_codes",
        )  # fmt: skip
        read_only_fields: ClassVar = fields


class SoftwareSerializer(serializers.ModelSerializer[Software]):
    dependency_ids = serializers.SerializerMethodField()
    requirements = serializers.DictField(child=serializers.IntegerField())
    sources = SourceSerializer(many=True)

    class Meta:
        model = Software
        fields: ClassVar = (
            "id", "name", "version", "publisher", "category", "description", "dependency_ids",
            "requirements", "sources",
        )  # fmt: skip
        read_only_fields: ClassVar = fields

    def get_dependency_ids(self, entry: Software) -> list[str]:
        return sorted(str(one.pk) for one in entry.dependencies.all())


class RequirementsInput(serializers.Serializer[Any]):
    free_disk_mb = serializers.IntegerField(min_value=0, required=False)
    memory_mb = serializers.IntegerField(min_value=0, required=False)


class SourceInput(serializers.Serializer[Any]):
    """A stored file, an address with its digest, or a package manager's name for it."""

    os = serializers.ChoiceField(SYSTEMS)
    architecture = serializers.CharField(max_length=50, default="any")
    format = serializers.ChoiceField(choices())
    file_id = serializers.UUIDField(required=False, allow_null=True)
    url = serializers.CharField(max_length=2_000, required=False, allow_blank=True)
    sha256 = serializers.CharField(max_length=64, required=False, allow_blank=True)
    package_name = serializers.CharField(max_length=200, required=False, allow_blank=True)
    install_command = serializers.CharField(max_length=10_000, required=False, allow_blank=True)
    upgrade_command = serializers.CharField(max_length=10_000, required=False, allow_blank=True)
    uninstall_command = serializers.CharField(max_length=10_000, required=False, allow_blank=True)
    detect_command = serializers.CharField(
        max_length=10_000,
        required=False,
        allow_blank=True,
        help_text="Prints the installed version; exits non-zero where there is none.",
    )
    success_exit_codes = serializers.ListField(child=_CODE(), required=False)
    reboot_exit_codes = serializers.ListField(child=_CODE(), required=False)


class SoftwareInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=200)
    version = serializers.CharField(max_length=100)
    publisher = serializers.CharField(max_length=200, required=False, allow_blank=True)
    category = serializers.CharField(max_length=100, required=False, allow_blank=True)
    description = serializers.CharField(max_length=10_000, required=False, allow_blank=True)
    dependency_ids = serializers.ListField(child=serializers.UUIDField(), required=False)
    requirements = RequirementsInput(required=False)
    sources = SourceInput(many=True, required=False)


READ_ONLY = [name for name in SoftwareSerializer.Meta.fields if name not in software.CHECKS]


class SoftwareDoor(Door):
    queryset = Software.objects.none()
    serializer_class = SoftwareSerializer
    filterset_class = SoftwareFilters
    scope_area = "tasks"

    def visible(self) -> QuerySet[Software]:
        found: QuerySet[Software] = super().visible().prefetch_related("dependencies", "sources")
        return found

    def list(self, request: Request) -> Response:
        """The catalogue, by name."""
        return self.page(self.visible())

    def retrieve(self, request: Request, pk: str) -> Response:
        return tagged(self.shown(self.one()))

    @extend_schema(request=SoftwareInput, responses={201: SoftwareSerializer})
    @idempotent
    def create(self, request: Request) -> Response:
        """Administrators alone."""
        entry = software.create(person(request), body(request, read_only=READ_ONLY))
        return tagged(self.shown(self.again(entry)), status=201)

    @extend_schema(request=SoftwareInput)
    def update(self, request: Request, pk: str) -> Response:
        """What is left out gets its default."""
        return self._update(request, partial=False)

    @extend_schema(request=SoftwareInput)
    def partial_update(self, request: Request, pk: str) -> Response:
        """What is left out keeps its value."""
        return self._update(request, partial=True)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """409 while a task or another entry needs it."""
        self.removed(lambda entry: software.delete(entry, person(request)))
        return Response(status=204)

    def _update(self, request: Request, *, partial: bool) -> Response:
        given = body(request, read_only=READ_ONLY)
        user = person(request)
        return self.changed(lambda one: software.update(one, user, given, partial=partial))
