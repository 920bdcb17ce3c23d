"""`/api/files`: stored files, uploaded in one piece here or in many below `/uploads`."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import person
from accounts.api.bodies import body, refuse_unknown
from accounts.api.doors import Door
from accounts.api.etags import tagged
from accounts.api.idempotency import Keyed, takes_key
from accounts.api.parsers import ObjectParser
from accounts.api.refusals import TooLarge
from accounts.errors import InvalidInput
from accounts.once import sha256_of
from scheduling.api.filters import FileFilters
from scheduling.catalogue import files
from scheduling.models import StoredFile


class FileSerializer(serializers.ModelSerializer[StoredFile]):
    size = serializers.IntegerField(source="blob.size", help_text="In bytes.")
    sha256 = serializers.CharField(source="blob.sha256")
    content_type = serializers.CharField(
        source="blob.content_type", help_text="By its first bytes."
    )

    class Meta:
        model = StoredFile
        fields: ClassVar = (
            "id", "name", "size", "sha256", "content_type", "description", "created_at",
        )  # fmt: skip
        read_only_fields: ClassVar = fields


class FileUploadInput(serializers.Serializer[Any]):
    file = serializers.FileField()
    name = serializers.CharField(max_length=255, required=False, help_text="Default: the part's.")
    description = serializers.CharField(max_length=10_000, required=False, allow_blank=True)


class FileInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=255, required=False)
    description = serializers.CharField(max_length=10_000, required=False, allow_blank=True)


READ_ONLY = [name for name in FileSerializer.Meta.fields if name not in files.CHECKS]


class FileDoor(Door):
    queryset = StoredFile.objects.none()
    serializer_class = FileSerializer
    filterset_class = FileFilters
    scope_area = "tasks"

    def get_parsers(self) -> list[Any]:
        return [MultiPartParser()] if self.request_is("POST") else [ObjectParser()]

    def request_is(self, method: str) -> bool:
        request = getattr(self, "request", None)
        return request is not None and request.method == method

    def visible(self) -> QuerySet[StoredFile]:
        found: QuerySet[StoredFile] = super().visible().select_related("blob")
        return found

    def list(self, request: Request) -> Response:
        """This person's files, the newest first; administrators see all."""
        return self.page(self.visible())

    def retrieve(self, request: Request, pk: str) -> Response:
        return tagged(self.shown(self.one()))

    @extend_schema(
        request={"multipart/form-data": FileUploadInput}, responses={201: FileSerializer}
    )
    @takes_key
    def create(self, request: Request) -> Response:
        """Stores one file of moderate size; larger ones come in pieces, at `/api/files/uploads`."""
        form: Any = request.data
        given = {name: form[name] for name in form if name != "file"}
        refuse_unknown(given, tuple(files.CHECKS))
        part = request.FILES.get("file")
        if not isinstance(part, UploadedFile):
            raise InvalidInput({"file": [_("A part named file is required.")]})
        values = files.check({"name": part.name or "file", **given})
        keyed = Keyed.of(request, lambda: [values, sha256_of(part)])
        if (answered := keyed.before()) is not None:
            return answered
        try:
            with files.drafted(person(request), part.chunks(), part.size or 0) as draft:
                return keyed.answer(lambda: self._adopted(values, draft))
        except files.TooLarge as error:
            raise TooLarge(str(error)) from None

    def _adopted(self, values: dict[str, str], draft: files.Draft) -> Response:
        stored = files.adopt(person(self.request), values, draft)
        return tagged(self.shown(self.again(stored)), status=201)

    @extend_schema(request=FileInput)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Another name or description; the bytes never change."""
        given = body(request, read_only=READ_ONLY)
        user = person(request)
        return self.changed(lambda file: files.update(file, user, given))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """409 while a task or a software in the catalogue uses it."""
        self.removed(lambda file: files.delete(file, person(request)))
        return Response(status=204)
