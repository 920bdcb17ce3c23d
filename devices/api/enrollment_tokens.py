"""`/api/enrollment-tokens`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import fields
from accounts.api.authentication import person
from accounts.api.bodies import body
from accounts.api.doors import Door
from accounts.errors import InvalidInput
from devices import enrollment
from devices.api.filters import EnrollmentTokenFilters
from devices.api.inputs import EnrollmentTokenInput
from devices.api.serializers import EnrollmentTokenSerializer, IssuedEnrollmentTokenSerializer
from devices.models import DeviceGroup, EnrollmentToken


class EnrollmentTokenDoor(Door):
    queryset = EnrollmentToken.objects.none()
    serializer_class = EnrollmentTokenSerializer
    filterset_class = EnrollmentTokenFilters
    scope_area = "devices"

    def list(self, request: Request) -> Response:
        """Newest first. What a token reads is nowhere kept."""
        return self.page(self.visible())

    @extend_schema(request=EnrollmentTokenInput, responses={201: IssuedEnrollmentTokenSerializer})
    def create(self, request: Request) -> Response:
        """The only answer that holds the token."""
        user = person(request)
        token, text = enrollment.issue(**_wanted(body(request)), created_by=user)
        context = {**self.get_serializer_context(), "token": text}
        shown = IssuedEnrollmentTokenSerializer(token, context=context)
        return Response(shown.data, status=201, headers={"Cache-Control": "no-store"})

    @extend_schema(request=None)
    def revoke(self, request: Request, pk: str) -> Response:
        """Lets nobody in with it any more; 409 where that has happened already."""
        return self.changed(lambda token: enrollment.revoke(token, person(request)))


def _wanted(given: dict[str, Any]) -> dict[str, Any]:
    """What `enrollment.issue` is to be asked for. Raises InvalidInput."""
    errors: fields.Errors = {}
    wanted = fields.checked(CHECKS, given, errors)
    if errors:
        raise InvalidInput(errors)
    return {NAMES[name]: value for name, value in wanted.items()}


def _group(value: object) -> DeviceGroup | None:
    if value is None:
        return None
    (pk,) = fields.identifiers(1)([value])
    group = DeviceGroup.objects.filter(pk=pk).first()
    if group is None:
        raise ValueError(_("Not found: %s.") % pk)
    return group


def _lifetime(value: object) -> timedelta:
    moment = fields.instant(value)
    return enrollment.DEFAULT_LIFETIME if moment is None else moment - timezone.now()


CHECKS: dict[str, fields.Check] = {
    "name": fields.text(100, one_line=True),
    "group_id": _group,
    "uses_limit": fields.whole_number(1, enrollment.MOST_USES),
    "expires_at": _lifetime,
}
NAMES = {
    "name": "name",
    "group_id": "group",
    "uses_limit": "uses_limit",
    "expires_at": "expires_in",
}
