"""`/api/templates`: what new tasks begin from."""

from __future__ import annotations

from typing import Any, ClassVar

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import person
from accounts.api.bodies import body
from accounts.api.doors import Door
from accounts.api.etags import tagged
from accounts.api.idempotency import idempotent
from accounts.api.ordering import Ordering
from devices.agent import kinds
from scheduling import templates
from scheduling.api import inputs
from scheduling.models import TaskTemplate

READ_ONLY = ("id", "user_id", "created_at", "updated_at")


class TemplateInput(inputs.TaskInput):
    """A name, a type, and any of a task's input fields."""

    shared = serializers.BooleanField(default=False, help_text="Everybody may use it.")

    def get_fields(self) -> dict[str, Any]:
        left_out = ("depends_on", "user_id")
        fields = {name: one for name, one in super().get_fields().items() if name not in left_out}
        for name, one in fields.items():
            one.required = name in ("name", "task_type")
        return fields


class TemplateSerializer(serializers.ModelSerializer[TaskTemplate]):
    """Beside these, the fields of a task that the template sets, and no others."""

    user_id = serializers.IntegerField()
    task_type = serializers.ChoiceField(kinds.choices())

    class Meta:
        model = TaskTemplate
        fields: ClassVar = (
            "id", "user_id", "name", "description", "task_type", "shared", "created_at",
            "updated_at",
        )  # fmt: skip
        read_only_fields: ClassVar = fields

    def to_representation(self, template: TaskTemplate) -> dict[str, Any]:
        return {**super().to_representation(template), **template.definition}


class TemplateFilters(filters.FilterSet):  # type: ignore[misc]
    search = filters.CharFilter(field_name="name", lookup_expr="icontains", label="In the name.")
    task_type = filters.CharFilter()
    ordering = Ordering(fields=("name", "created_at", "updated_at"))

    class Meta:
        model = TaskTemplate
        fields: tuple[str, ...] = ()


class TemplateDoor(Door):
    queryset = TaskTemplate.objects.none()
    serializer_class = TemplateSerializer
    filterset_class = TemplateFilters
    scope_area = "tasks"

    def list(self, request: Request) -> Response:
        """This person's templates and the shared ones, by name; administrators see all."""
        return self.page(self.visible())

    def retrieve(self, request: Request, pk: str) -> Response:
        return tagged(self.shown(self.one()))

    @extend_schema(request=TemplateInput, responses={201: TemplateSerializer})
    @idempotent
    def create(self, request: Request) -> Response:
        made = templates.create(person(request), body(request, read_only=READ_ONLY))
        return tagged(self.shown(self.again(made)), status=201)

    @extend_schema(request=TemplateInput)
    def update(self, request: Request, pk: str) -> Response:
        """What is left out is no part of it any more."""
        return self._update(request, partial=False)

    @extend_schema(request=TemplateInput)
    def partial_update(self, request: Request, pk: str) -> Response:
        """What is left out keeps its value."""
        return self._update(request, partial=True)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Tasks made from it stay as they are."""
        self.removed(lambda template: templates.delete(template, person(request)))
        return Response(status=204)

    def _update(self, request: Request, *, partial: bool) -> Response:
        given = body(request, read_only=READ_ONLY)
        user = person(request)
        return self.changed(lambda one: templates.update(one, user, given, partial=partial))
