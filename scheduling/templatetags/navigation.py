"""The frame around every page: where one can go, and whether the system is well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import template
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.rights import is_administrator
from scheduling import health, kind_pages

if TYPE_CHECKING:
    from django.template.context import RequestContext
    from django.utils.functional import Promise

register = template.Library()


@dataclass(frozen=True, slots=True)
class Item:
    href: str
    label: str | Promise
    icon: str
    is_current: bool


PAGES = (
    ("overview", _("Overview"), "layout-dashboard"),
    ("task-list", _("Scheduled tasks"), "calendar-clock"),
    ("calendar", _("Calendar"), "calendar-days"),
    ("execution-list", _("History"), "history"),
    ("commands", _("Run a command"), "terminal"),
    ("file-list", _("Files"), "files"),
    ("software-list", _("Software"), "package"),
    ("device-list", _("Devices"), "monitor"),
    ("group-list", _("Groups"), "boxes"),
)
SETTINGS = (
    ("template-list", _("Templates"), "bookmark"),
    ("token-list", _("API tokens"), "key-round"),
)
API_DOCS = "/api/docs"


@register.inclusion_tag("navigation.html", takes_context=True)
def navigation(context: RequestContext) -> dict[str, Any]:
    path = context["request"].path
    user = context["user"]
    settings = [_item(reverse(name), label, icon, path) for name, label, icon in SETTINGS]
    settings.append(_item(API_DOCS, _("API documentation"), "book-open", path))
    if is_administrator(user):
        settings.append(_item(reverse("health"), _("System health"), "activity", path))
    if user.is_staff and user.has_perm("auth.change_user"):
        people = reverse("admin:auth_user_changelist")
        settings.append(_item(people, _("People"), "users", path))
    if user.is_staff:
        settings.append(_item(reverse("admin:index"), _("Administration"), "wrench", path))
    return {
        "items": [*_pages(path), *_further_kinds(path)],
        "settings": settings,
        "user": user,
        "csrf_token": context.get("csrf_token"),
    }


@register.inclusion_tag("_health.html")
def system_health() -> dict[str, Any]:
    return health.banner()


def _pages(path: str) -> list[Item]:
    return [_item(reverse(name), label, icon, path) for name, label, icon in PAGES]


def _further_kinds(path: str) -> list[Item]:
    kinds = kind_pages.without_own()
    return [_item(kind_pages.address(one), kind_pages.title(one), "rocket", path) for one in kinds]


def _item(href: str, label: str | Promise, icon: str, path: str) -> Item:
    return Item(href, label, icon, path == href or (href != "/" and path.startswith(href)))
