"""`/api/tokens`: a person's own keys to this API; administrators see everybody's."""

from __future__ import annotations

from typing import Any, ClassVar

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import fields, tokens
from accounts.api.authentication import person
from accounts.api.bodies import body
from accounts.api.doors import Door
from accounts.api.ordering import Ordering
from accounts.errors import InvalidInput
from accounts.models import ApiToken


class TokenSerializer(serializers.ModelSerializer[ApiToken]):
    user_id = serializers.IntegerField()
    scopes = serializers.ListField(child=serializers.ChoiceField(ApiToken.Scope.choices))

    class Meta:
        model = ApiToken
        fields: ClassVar[Any] = (
            "id", "name", "user_id", "scopes", "created_at", "expires_at", "last_used_at",
            "revoked_at",
        )  # fmt: skip
        read_only_fields: ClassVar[Any] = fields


class IssuedTokenSerializer(TokenSerializer):
    """The one answer that holds the token itself."""

    token = serializers.SerializerMethodField()

    class Meta(TokenSerializer.Meta):
        fields: ClassVar[Any] = (*TokenSerializer.Meta.fields, "token")
        read_only_fields: ClassVar[Any] = fields

    def get_token(self, issued: ApiToken) -> str:
        return str(self.context["token"])


class TokenInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(ApiToken.Scope.choices),
        required=False,
        help_text="Default: all the person's rights.",
    )
    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="Default: never."
    )


class TokenFilters(filters.FilterSet):  # type: ignore[misc]
    search = filters.CharFilter(field_name="name", lookup_expr="icontains", label="In the name.")
    ordering = Ordering(fields=("name", "created_at", "expires_at", "last_used_at", "revoked_at"))

    class Meta:
        model = ApiToken
        fields: tuple[str, ...] = ()


class TokenDoor(Door):
    """Of a limited token, only `admin` comes in: no token makes a stronger one."""

    queryset = ApiToken.objects.none()
    serializer_class = TokenSerializer
    filterset_class = TokenFilters

    def list(self, request: Request) -> Response:
        """Newest first. What a token reads is nowhere kept."""
        return self.page(self.visible())

    @extend_schema(request=TokenInput, responses={201: IssuedTokenSerializer})
    def create(self, request: Request) -> Response:
        """A token of one's own. The only answer that holds it."""
        errors: fields.Errors = {}
        wanted = fields.checked(CHECKS, {"name": "", **body(request)}, errors)
        if errors:
            raise InvalidInput(errors)
        token, key = tokens.issue(person(request), **wanted)
        context = {**self.get_serializer_context(), "token": key}
        shown = IssuedTokenSerializer(token, context=context)
        return Response(shown.data, status=201, headers={"Cache-Control": "no-store"})

    @extend_schema(request=None)
    def revoke(self, request: Request, pk: str) -> Response:
        """Makes it useless, at once."""
        return self.changed(tokens.revoke)


def _scopes(value: object) -> list[str]:
    return [str(scope) for scope in fields.plain_list(value)]


CHECKS: dict[str, fields.Check] = {
    "name": fields.text(100, shortest=1, one_line=True),
    "scopes": _scopes,
    "expires_at": fields.instant,
}
