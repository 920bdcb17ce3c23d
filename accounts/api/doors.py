"""What the API's views have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import Model, QuerySet
from django.shortcuts import get_object_or_404
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import GenericViewSet

from accounts.api.authentication import person
from accounts.api.etags import require_match, tagged, wants_match


class Door(GenericViewSet[Any]):
    """Objects of one kind. A subclass says which: `visible`, `serializer_class`, its scopes.

    `queryset` is there for OpenAPI's sake alone: everything is read through `visible()`.
    """

    scope_area: ClassVar[str | None] = None
    action_scopes: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    lookup_field = "pk"

    def visible(self) -> QuerySet[Any]:
        """What this person may see, with all that its serializer reads."""
        model: Any = type(self).queryset.model  # type: ignore[union-attr]
        visible: QuerySet[Any] = model.objects.visible_to(person(self.request))
        return visible

    def get_queryset(self) -> QuerySet[Any]:
        """For what DRF itself may look up."""
        return self.visible()

    def one(self) -> Any:
        """The object the path names, or a 404."""
        return get_object_or_404(self.visible(), pk=self.kwargs["pk"])

    def shown(self, thing: Any) -> Any:
        """Its representation."""
        return self.get_serializer(thing).data

    def page(
        self,
        queryset: QuerySet[Any],
        *,
        prepare: Callable[[list[Any]], object] | None = None,
        serializer: type[BaseSerializer[Any]] | None = None,
    ) -> Response:
        """One page of `queryset`, filtered; `prepare` may complete the page's rows first."""
        rows = self.paginate_queryset(self.filter_queryset(queryset))
        assert rows is not None
        page: list[Any] = list(rows)
        if prepare is not None:
            prepare(page)
        show = serializer or self.get_serializer_class()
        data = show(page, many=True, context=self.get_serializer_context()).data
        return self.get_paginated_response(data)

    def changed(self, change: Callable[[Any], Model]) -> Response:
        """Applies a verb to the object, if it is still the one `If-Match` names, and shows it."""
        with transaction.atomic():
            thing = self.one()
            self.check_match(thing)
            changed = change(thing)
            return tagged(self.shown(self.again(changed)))

    def removed(self, remove: Callable[[Any], object]) -> None:
        """Applies a verb that deletes the object, if it is still the one `If-Match` names."""
        with transaction.atomic():
            thing = self.one()
            self.check_match(thing)
            remove(thing)

    def check_match(self, thing: Any) -> None:
        """Raises PreconditionFailed; locks the row, so that the answer still holds at the write."""
        if wants_match(self.request):
            manager = type(thing)._default_manager
            # Not against foreign keys, as the verbs themselves.
            manager.select_for_update(of=("self",), no_key=True).get(pk=thing.pk)
            require_match(self.request, self.shown(self.one()))

    def again(self, thing: Any) -> Any:
        """The object as it is now, with all that its serializer reads. Seen whoever owns it by now:
        an administrator may have handed it over."""
        found = self.visible().filter(pk=thing.pk).first()
        return thing if found is None else found


def names_of(serializer: type[BaseSerializer[Any]]) -> Iterable[str]:
    """The fields of a serializer, by name."""
    return serializer().fields.keys()  # type: ignore[attr-defined, no-any-return]
