"""Forms stay open for as long as people like: what others change of the same thing meanwhile is told
before it is undone. A form carries marks of the values it began with, as the API's clients do the ETag."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import transaction

from accounts.api.etags import etag_of

if TYPE_CHECKING:
    from django.db.models import Model
    from django.http import HttpRequest

FIELD = "known"
_MARK = slice(1, 13)


class ChangedMeanwhile(Exception):
    """Nothing was saved: the form has to be shown again, with what it says of this."""


class Known:
    """What the form of a request knows of a thing. `read` answers the thing's values by field, `label`
    what people call one. `changed` are the fields that others changed since the form was first shown;
    shown again it knows them, and saves."""

    def __init__(
        self,
        request: HttpRequest,
        thing: Model,
        read: Callable[[Any], Mapping[str, Any]],
        label: Callable[[str], object] = str,
    ) -> None:
        self._thing, self._read, self._label = thing, read, label
        self._given = request.POST.get(FIELD)
        self.changed: list[str] = []
        self.token = self._given or _token(read(thing))

    @property
    def labels(self) -> list[str]:
        return list(dict.fromkeys(str(self._label(name)) for name in self.changed))

    @contextmanager
    def held(self) -> Iterator[None]:
        """One transaction in which nobody else changes the thing. Raises ChangedMeanwhile; a form
        without marks saves as it is."""
        with transaction.atomic():
            # Not against foreign keys, as the verbs themselves.
            rows = type(self._thing)._default_manager.select_for_update(of=("self",), no_key=True)
            values = self._read(rows.get(pk=self._thing.pk))
            if self._given is not None:
                self.changed = _differing(self._given, values)
            if self.changed:
                self.token = _token(values)
                raise ChangedMeanwhile
            yield


def _token(values: Mapping[str, Any]) -> str:
    return json.dumps(_marks(values))


def _marks(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: etag_of(value)[_MARK] for name, value in values.items()}


def _differing(token: str, values: Mapping[str, Any]) -> list[str]:
    """All of them where the token is none of ours."""
    try:
        before = json.loads(token)
    except (ValueError, RecursionError):
        before = None
    marks = _marks(values)
    if not isinstance(before, dict):
        return list(marks)
    return [name for name in {**before, **marks} if before.get(name) != marks.get(name)]
