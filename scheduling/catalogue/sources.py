"""The sources of a software, as people write them: one for each platform."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from accounts import fields
from devices.agent.software_formats import ANY_ARCHITECTURE, FORMATS, PACKAGE_NAME, SYSTEMS
from scheduling.models import SoftwareSource

MOST_SOURCES = 20
MOST_CODES = 50
_SHA256 = re.compile(r"[0-9a-f]{64}")
COMMANDS = ("install_command", "upgrade_command", "uninstall_command", "detect_command")


def check(value: object) -> list[dict[str, Any]]:
    """The clean sources. Raises ValueError naming the number of the one that is wrong."""
    given = fields.plain_list(value)
    if len(given) > MOST_SOURCES:
        raise ValueError(_("must have at most %s entries.") % MOST_SOURCES)
    clean = [_numbered(number, one) for number, one in enumerate(given, 1)]
    platforms = [(one["os"], one["architecture"]) for one in clean]
    for platform in platforms:
        if platforms.count(platform) > 1:
            raise ValueError(_("Two sources are for %s.") % " ".join(platform))
    return clean


def as_input(source: SoftwareSource) -> dict[str, Any]:
    """The source in the form `check` takes."""
    plain = ("os", "architecture", "format", "url", "sha256", "package_name", *COMMANDS)
    return {name: getattr(source, name) for name in plain} | {
        "file_id": str(source.file_id) if source.file_id else None,
        "success_exit_codes": source.success_exit_codes,
        "reboot_exit_codes": source.reboot_exit_codes,
    }


def _numbered(number: int, value: object) -> dict[str, Any]:
    try:
        return _one(value)
    except ValueError as error:
        said = _("source %(number)s: %(error)s")
        raise ValueError(said % {"number": number, "error": error}) from None


def _one(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(_("must be an object."))
    errors: fields.Errors = {}
    clean = fields.checked(CHECKS, {**_EMPTY, **value}, errors)
    for name in ("os", "format"):
        if name not in value:
            errors[name] = [_("This field is required.")]
    if errors:
        said = "; ".join(f"{name} {' '.join(messages)}" for name, messages in errors.items())
        raise ValueError(said)
    _check_together(clean)
    return clean


def _check_together(one: dict[str, Any]) -> None:
    form = FORMATS[one["format"]]
    if one["os"] not in form.systems:
        said = _("format %(format)s is for %(systems)s.")
        raise ValueError(said % {"format": form.name, "systems": ", ".join(form.systems)})
    given = [name for name in ("file_id", "url", "package_name") if one[name]]
    if form.is_packaged:
        if given != ["package_name"]:
            raise ValueError(_("format %s takes package_name and nothing else.") % form.name)
        return
    if (one["file_id"] and one["url"]) or not (one["file_id"] or one["url"]):
        raise ValueError(_("format %s takes either file_id, or url and sha256.") % form.name)
    if bool(one["url"]) != bool(one["sha256"]):
        raise ValueError(_("url and sha256 belong together."))
    if form.name == "exe" and not one["install_command"]:
        raise ValueError(_("format exe needs an install_command: each setup has its own options."))


def _address(value: object) -> str:
    text = str(fields.text(2_000, one_line=True)(value))
    parts = urlsplit(text)
    if text and (parts.scheme != "https" or not parts.hostname or parts.username):
        raise ValueError(_("must be an https:// address without a password."))
    return text


def _digest(value: object) -> str:
    text = str(fields.text(64, one_line=True)(value)).lower()
    if text and not _SHA256.fullmatch(text):
        raise ValueError(_("must be 64 hexadecimal digits."))
    return text


def _package(value: object) -> str:
    text = str(fields.text(200, one_line=True)(value))
    if text and not PACKAGE_NAME.fullmatch(text):
        raise ValueError(_("must be the name of a package: letters, digits, and . + @ / _ -"))
    return text


def _file(value: object) -> str | None:
    if value in (None, ""):
        return None
    (one,) = fields.identifiers(1)([value])
    return str(one)


def _architecture(value: object) -> str:
    return str(fields.text(50, one_line=True)(value)).lower() or ANY_ARCHITECTURE


def _codes(value: object) -> list[int]:
    number = fields.whole_number(-(2**31), 2**32 - 1)
    codes = [number(one) for one in fields.plain_list(value)]
    if len(codes) > MOST_CODES:
        raise ValueError(_("must have at most %s entries.") % MOST_CODES)
    return sorted(set(codes))


_TEXTS = ("url", "sha256", "package_name", *COMMANDS)
_EMPTY: dict[str, Any] = {
    "architecture": ANY_ARCHITECTURE,
    "file_id": None,
    **dict.fromkeys(_TEXTS, ""),
    "success_exit_codes": [],
    "reboot_exit_codes": [],
}
CHECKS: dict[str, fields.Check] = {
    "os": fields.one_of([name for name, _label in SYSTEMS]),
    "architecture": _architecture,
    "format": fields.one_of(list(FORMATS)),
    "file_id": _file,
    "url": _address,
    "sha256": _digest,
    "package_name": _package,
    **{name: fields.text(10_000) for name in COMMANDS},
    "success_exit_codes": _codes,
    "reboot_exit_codes": _codes,
}
