from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import tokens
from accounts.administration import ReadOnlyAdmin, for_each
from accounts.models import ApiToken, IdempotencyKey

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    """Tokens are issued where their key can be shown once: by the API, the pages, `apitoken add`."""

    list_display = ("name", "user", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_filter = ("created_at", "expires_at", "revoked_at")
    list_select_related = ("user",)
    search_fields = ("name", "user__username")
    fields = (
        "name", "user", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at",
    )  # fmt: skip
    actions = ("revoke",)

    @admin.action(description=gettext_lazy("Revoke"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        for_each(request, queryset, tokens.revoke, _("%s tokens are revoked."))

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_apitoken")


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(ReadOnlyAdmin):
    """The remembered answers themselves are not shown: they may hold what is shown once only."""

    list_display = ("method", "path", "user", "response_status", "created_at")
    list_filter = ("created_at",)
    list_select_related = ("user",)
    search_fields = ("method", "path", "user__username")
    fields = ("method", "path", "user", "response_status", "created_at")
