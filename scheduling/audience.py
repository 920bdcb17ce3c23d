"""Who listens at a browser's socket, and what of all that changes they may hear of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest

from accounts.models import ApiToken
from accounts.pages import identifier
from accounts.rights import is_administrator
from devices.models import Device, DeviceGroup, EnrollmentToken
from scheduling import live
from scheduling.models import (
    DeviceRun,
    Execution,
    ScheduledTask,
    Software,
    StoredFile,
    TaskTemplate,
    Upload,
)

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

# By (kind, id), the people who saw an object before it changed.
Changes = Mapping[tuple[str, str], Collection[int]]
KINDS: dict[str, Any] = {
    "task": ScheduledTask.objects,
    "execution": Execution.objects,
    "run": DeviceRun.objects,
    "device": Device.objects,
    "group": DeviceGroup.objects,
    "file": StoredFile.objects,
    "upload": Upload.objects,
    "software": Software.objects,
    "template": TaskTemplate.objects,
    "token": ApiToken.objects,
    "enrollment_token": EnrollmentToken.objects,
}


def listener(session_key: str) -> User | None:
    """Whoever is signed in with this session; None where nobody is, or may be any more."""
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user: User | AnonymousUser = get_user(request)
    return user if user.is_authenticated and user.is_active else None


def audible(user: User, changes: Changes) -> set[tuple[str, str]]:
    """Those of these (kind, id) that this person may see, or saw before, in a query for each kind; of
    what is gone administrators hear as well."""
    known = [(kind, one) for kind, one in changes if kind in KINDS and identifier(one)]
    if is_administrator(user):
        return set(known)
    heard = {key for key in known if not {user.pk, live.EVERYBODY}.isdisjoint(changes[key])}
    for kind, objects in KINDS.items():
        ids = [UUID(one) for named, one in known if named == kind]
        if ids:
            visible = objects.visible_to(user).filter(pk__in=ids)
            heard.update((kind, str(pk)) for pk in visible.values_list("pk", flat=True))
    return heard
