"""What the admin's pages of all our apps share: they show what `visible_to` gives, and write by verbs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.templatetags.admin_urls import admin_urlname
from django.core.paginator import Paginator
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.translation import gettext as _

from accounts import vanishing
from accounts.api.pagination import COUNT_LIMIT, capped_count
from accounts.errors import InvalidInput, NotAllowed, StateConflict
from accounts.rights import is_administrator

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.db.models import Model, QuerySet
    from django.forms import BaseForm
    from django.http import HttpRequest, HttpResponse
    from django.utils.safestring import SafeString

    Base = admin.ModelAdmin[Any]
    Pages = Paginator[Any]
else:
    Base = admin.ModelAdmin
    Pages = Paginator

M = TypeVar("M", bound="Model")
REFUSALS = (InvalidInput, NotAllowed, StateConflict)


class CappedPaginator(Pages):
    """Counts to a limit, so that no list costs more because its table is long. What lies behind is
    found by search and filter."""

    @cached_property
    def count(self) -> int:
        return min(COUNT_LIMIT, capped_count(self.object_list))  # type: ignore[arg-type]


class DeletingAdmin(Base):
    """Whoever may delete a row deletes the rows of the models in `goes_with` with it, which nobody
    deletes by themselves."""

    goes_with: ClassVar[tuple[type[Model], ...]] = ()

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        found, counts, needed, protected = super().get_deleted_objects(objs, request)
        granted = {str(model._meta.verbose_name) for model in self.goes_with}
        return found, counts, {one for one in needed if str(one) not in granted}, protected


class VisibleAdmin(DeletingAdmin):
    """Shows what this person may see. A refusal by a verb is a message, never a server error."""

    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        visible = self.visible(person(request))
        ordering = self.get_ordering(request)
        return visible.order_by(*ordering) if ordering else visible

    def visible(self, user: User) -> QuerySet[Any]:
        """Through the model's own `visible_to`; what has none is for administrators alone."""
        rows: Any = self.model._default_manager.all()
        if hasattr(rows, "visible_to"):
            rows = rows.visible_to(user)
        elif not is_administrator(user):
            rows = rows.none()
        found: QuerySet[Any] = rows
        return found

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        # What the form was checked against may have changed a moment later; its transaction is
        # rolled back by then.
        with Refusals(self, request) as refusals:
            return super().changeform_view(request, object_id, form_url, extra_context)
        return refusals.answer

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        with Refusals(self, request) as refusals:
            return super().delete_view(request, object_id, extra_context)
        return refusals.answer

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any], *place: Any
    ) -> HttpResponse | None:
        with Refusals(self, request) as refusals:
            return super().response_action(request, queryset, *place)
        return refusals.answer


class ReadOnlyAdmin(VisibleAdmin):
    """History and what our programs keep for themselves: to be looked at."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def one_of(
    field: str, title: object, choices: Callable[[], Iterable[tuple[str, str]]]
) -> type[admin.SimpleListFilter]:
    """A filter by a field of free text that offers the values we know, not all that there are."""

    named: Any = title

    class OneOf(admin.SimpleListFilter):
        title = named
        parameter_name = field

        def lookups(self, *args: Any) -> list[tuple[str, str]]:
            return list(choices())

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            chosen = self.value()
            return queryset if chosen is None else queryset.filter(**{field: chosen})

    return OneOf


class Refusals:
    """Turns what a verb refuses into messages; `answer` then leads back to the list."""

    def __init__(self, model_admin: Base, request: HttpRequest) -> None:
        self._admin, self._request = model_admin, request

    def __enter__(self) -> Refusals:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        is_gone = self._request.method == "POST" and vanishing.gone(error)
        if not isinstance(error, Exception) or not (isinstance(error, REFUSALS) or is_gone):
            return False
        for sentence in sentences(error):
            messages.error(self._request, sentence)
        return True

    @property
    def answer(self) -> HttpResponse:
        changelist = reverse(admin_urlname(self._admin.opts, "changelist"))  # type: ignore[arg-type]
        return HttpResponseRedirect(changelist)


def sentences(refusal: Exception) -> list[str]:
    if isinstance(refusal, InvalidInput):
        return [f"{name}: {said}" for name, all_ in refusal.errors.items() for said in all_]
    if isinstance(refusal, (NotAllowed, StateConflict)):
        return [refusal.detail]
    return [vanishing.told(refusal)]


def person(request: HttpRequest) -> User:
    """Whoever is signed in; every page of the admin is behind that."""
    assert request.user.is_authenticated
    return request.user


def for_person(user: User, form: type[Any]) -> type[Any]:
    """The class of a form or formset as this person uses it."""
    return type(form.__name__, (form,), {"person": user})


def refuse(form: BaseForm, refusal: InvalidInput | NotAllowed) -> None:
    """Puts what a verb refused beside the form's fields; `user_id` is the field `user`. What the form
    has refused already did not come as far as the verb, and is not missing."""
    if isinstance(refusal, NotAllowed):
        form.add_error(None, refusal.detail)
        return
    already = set(form.errors)
    for name, said in refusal.errors.items():
        beside = next((one for one in (name, name.removesuffix("_id")) if one in form.fields), None)
        for message in said if beside not in already else []:
            form.add_error(beside, message if beside else f"{name}: {message}")


def for_each(
    request: HttpRequest, rows: Iterable[M], verb: Callable[[M], object], success: str
) -> None:
    """Calls a verb on every chosen row; says how many it was done to, and each refusal."""
    done = 0
    for row in rows:
        try:
            verb(row)
        except (*REFUSALS, *vanishing.ERRORS) as refusal:
            for sentence in sentences(refusal):
                messages.error(request, _("%(name)s: %(why)s") % {"name": row, "why": sentence})
        else:
            done += 1
    if done:
        messages.success(request, success % done)


def link(url: str, text: object) -> SafeString:
    return format_html('<a href="{}">{}</a>', url, text)


def link_to(row: Model | None) -> SafeString | str:
    """To the row's own page in the admin."""
    if row is None:
        return "—"
    return link(reverse(admin_urlname(row._meta, "change"), args=[row.pk]), row)  # type: ignore[arg-type]


def link_to_list(model: type[Model], text: object, **lookup: object) -> SafeString:
    """To the list of a model, filtered."""
    ((name, value),) = lookup.items()
    url = reverse(admin_urlname(model._meta, "changelist"))  # type: ignore[arg-type]
    return link(f"{url}?{name}={value}", text)


def pretty(value: object) -> SafeString:
    """JSON, laid out to be read."""
    text = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
    return format_html("<pre>{}</pre>", text)
