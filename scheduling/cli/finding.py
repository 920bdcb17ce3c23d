"""Whom and what the words on a command line mean. Each raises InvalidInput naming its argument."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _

from accounts.errors import InvalidInput
from devices.models import Device, DeviceGroup
from scheduling import clock
from scheduling.models import Execution, ScheduledTask, Software, StoredFile, Upload
from scheduling.models.catalogue import UploadQuerySet

M = TypeVar("M", bound=Model)
MOST_NAMED = 10
SHORTEST_PREFIX = 4


def person(name: str | None) -> User:
    """The account of this name, or the first administrator; an active one."""
    if name is None:
        first = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
        if first is None:
            raise InvalidInput({"user": [_("There is no active administrator; name one.")]})
        return first
    found = User.objects.filter(username=name).first()
    if found is None:
        raise InvalidInput({"user": [_("There is no account “%s”.") % name]})
    if not found.is_active:
        raise InvalidInput({"user": [_("The account “%s” is deactivated.") % name]})
    return found


def task(user: User, words: str) -> ScheduledTask:
    """By id, exact name, or the beginning of an id that no other task's begins with."""
    visible = ScheduledTask.objects.visible_to(user).select_related("user")
    found = _by_id_or_name(visible, words)
    if not found and len(words) >= SHORTEST_PREFIX:
        found = list(visible.filter(pk__startswith=words.lower())[: MOST_NAMED + 1])
    return _only("task", words, found, _("There is no task “%s”."))


def execution(user: User, words: str) -> Execution:
    """By id."""
    try:
        found = list(Execution.objects.visible_to(user).filter(pk=UUID(words)))
    except ValueError:
        found = []
    return _only("execution", words, found, _("There is no execution “%s”."))


def devices(user: User, words: Iterable[str]) -> list[Device]:
    visible = Device.objects.visible_to(user)
    return _each("device_ids", visible, words, _("There is no device “%s”."))


def device(user: User, words: str) -> Device:
    visible = Device.objects.visible_to(user)
    return _each("device", visible, [words], _("There is no device “%s”."))[0]


def group(user: User, words: str) -> DeviceGroup:
    visible = DeviceGroup.objects.visible_to(user)
    return _each("group", visible, [words], _("There is no group “%s”."))[0]


def file(user: User, words: str) -> StoredFile:
    visible = StoredFile.objects.visible_to(user).select_related("blob", "user")
    return _each("file", visible, [words], _("There is no file “%s”."))[0]


def upload(user: User, words: str) -> Upload:
    return _each("upload", uploads(user), [words], _("There is no upload “%s” under way."))[0]


def uploads(user: User) -> UploadQuerySet:
    """Under way, begun by this person."""
    return Upload.objects.visible_to(user).open(clock.now())


def software(user: User, words: str, *, name: str = "software") -> Software:
    """By id, by name, or by name and version: “Tool 1.0”."""
    visible = Software.objects.visible_to(user)
    title, _blank, version = words.rpartition(" ")
    found = _by_id_or_name(visible, words) or list(visible.filter(name=title, version=version))
    return _only(name, words, found, _("There is no software “%s”."))


def people(names: Iterable[str]) -> list[User]:
    found = User.objects.in_bulk(list(names), field_name="username")
    if missing := [one for one in names if one not in found]:
        raise InvalidInput({"people": [_("There is no account “%s”.") % one for one in missing]})
    return list(found.values())


def any_device(words: str) -> Device:
    """For whoever runs the server, whoever may use the device."""
    missing = _("There is no device “%s”.")
    return _each("device", Device.objects.all(), [words], missing)[0]


def groups(user: User, words: Iterable[str]) -> list[DeviceGroup]:
    visible = DeviceGroup.objects.visible_to(user)
    return _each("group_ids", visible, words, _("There is no group “%s”."))


def _each(name: str, visible: QuerySet[M], words: Iterable[str], missing: str) -> list[M]:
    """What each word means; every word that means nothing, or too much, is named at once."""
    found: list[M] = []
    wrong: list[str] = []
    for word in words:
        try:
            found.append(_only(name, word, _by_id_or_name(visible, word), missing))
        except InvalidInput as refusal:
            wrong += refusal.errors[name]
    if wrong:
        raise InvalidInput({name: wrong})
    return found


def _by_id_or_name(visible: QuerySet[M], words: str) -> list[M]:
    try:
        by_id = list(visible.filter(pk=UUID(words)))
    except ValueError:
        by_id = []
    return by_id or list(visible.filter(name=words)[: MOST_NAMED + 1])


def _only(name: str, words: str, found: list[M], missing: str) -> M:
    if len(found) == 1:
        return found[0]
    if not found:
        raise InvalidInput({name: [missing % words]})
    listed = ", ".join(str(one.pk) for one in found[:MOST_NAMED])
    more = "…" if len(found) > MOST_NAMED else ""
    message = _("“%(words)s” may mean any of %(ids)s; give the id.")
    raise InvalidInput({name: [message % {"words": words, "ids": listed + more}]})
