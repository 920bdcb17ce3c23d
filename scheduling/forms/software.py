"""The form of an entry of the catalogue: keeps what was typed, and hands it as raw data to the verbs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import line_ends
from accounts.errors import InvalidInput
from devices.agent.software_formats import ANY_ARCHITECTURE, FORMATS, SYSTEMS, Format
from devices.forms import AskingForm
from scheduling.catalogue import software, sources
from scheduling.forms import picking, values

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from scheduling.forms.payload import Typed
    from scheduling.models import Software

BASICS = ("name", "version", "publisher", "category", "description")
CODES = ("success_exit_codes", "reboot_exit_codes")
_NUMBERED = re.compile(r"\D{1,40}?(\d{1,2}): (.*)", re.DOTALL)
# What a source has before anybody typed: no more than this is no source.
_AT_FIRST = {"os": "linux", "architecture": ANY_ARCHITECTURE}


def format_choices() -> list[tuple[str, str]]:
    """Those not tried on a real system say so."""
    return [("", _("choose…")), *((one.name, _labelled(one)) for one in FORMATS.values())]


def _labelled(form: Format) -> str:
    untested = [label for name, label in SYSTEMS if name in form.untested_on]
    if not untested:
        return _(form.label)
    if form.tried_on:
        return f"{_(form.label)} ({_('untested on %s') % ', '.join(untested)})"
    return f"{_(form.label)} ({_('untested')})"


def _line(label: Any, help_text: Any = "", **attrs: Any) -> forms.CharField:
    widget = forms.TextInput(attrs={"autocomplete": "off", **attrs})
    return forms.CharField(required=False, label=label, help_text=help_text, widget=widget)


def _command(label: Any, help_text: Any = "") -> forms.CharField:
    widget = forms.Textarea(attrs={"rows": 1, "class": "code", "spellcheck": "false"})
    return forms.CharField(required=False, label=label, help_text=help_text, widget=widget)


class BasicsForm(AskingForm):
    name = _line(gettext_lazy("Name"), maxlength=200)
    version = _line(gettext_lazy("Version"), maxlength=100)
    publisher = _line(gettext_lazy("Publisher"), maxlength=200)
    category = _line(gettext_lazy("Category"), maxlength=100, list="categories")
    description = forms.CharField(
        required=False,
        label=gettext_lazy("Description"),
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    free_disk_mb = _line(gettext_lazy("Free disk needed, in MB"), inputmode="numeric")
    memory_mb = _line(gettext_lazy("Memory needed, in MB"), inputmode="numeric")

    def given(self, before: Mapping[str, Any]) -> dict[str, Any]:
        """With the line ends that the entry had `before`."""
        typed = {name: str(self.data.get(name, "")) for name in self.fields}
        needs = {name: values.number(typed[name]) for name in software.REQUIREMENTS}
        return {
            **{name: line_ends.meant(typed[name], before.get(name, "")) for name in BASICS},
            "requirements": {name: one for name, one in needs.items() if one is not None},
        }


OTHER_LABELS = {
    "requirements": gettext_lazy("What it needs"),
    "dependency_ids": gettext_lazy("Software that is installed before it"),
    "sources": gettext_lazy("Sources"),
}


def label(name: str) -> object:
    """What people call a field of an entry."""
    typed = BasicsForm.base_fields.get(name)
    return typed.label if typed else OTHER_LABELS.get(name, name)


class SourceForm(AskingForm):
    """One source; its prefix is `source-` and its number, from 0."""

    os = forms.CharField(
        required=False, label=gettext_lazy("System"), widget=forms.Select(choices=SYSTEMS)
    )
    architecture = _line(gettext_lazy("Architecture"), gettext_lazy("any, or such as amd64."))
    format = forms.CharField(
        required=False,
        label=gettext_lazy("Format"),
        widget=forms.Select(choices=format_choices),  # type: ignore[arg-type]
    )
    package_name = _line(
        gettext_lazy("Package name"),
        gettext_lazy("For apt, dnf, winget and brew; for pkg the id it is found by."),
        maxlength=200,
    )
    url = _line(gettext_lazy("Address"), gettext_lazy("https://… instead of a stored file."))
    sha256 = _line(gettext_lazy("SHA-256 of what is there"), maxlength=64, spellcheck="false")
    install_command = _command(
        gettext_lazy("Install command"),
        gettext_lazy("Empty: what the format usually needs. $DEPLOYX_FILE is the file's path."),
    )
    upgrade_command = _command(
        gettext_lazy("Upgrade command"), gettext_lazy("Empty: the install command.")
    )
    uninstall_command = _command(gettext_lazy("Uninstall command"))
    detect_command = _command(
        gettext_lazy("Detect command"),
        gettext_lazy(
            "Prints the installed version; fails where there is none. Without one, msi, exe, sh and"
            " tarball, and what has an install command, are installed each time."
        ),
    )
    success_exit_codes = _line(
        gettext_lazy("Exit codes of success"), gettext_lazy("Separated by commas; empty: 0.")
    )
    reboot_exit_codes = _line(gettext_lazy("Exit codes that want a restart"))

    def __init__(
        self, number: int, data: Typed, user: User, before: Sequence[Mapping[str, Any]]
    ) -> None:
        super().__init__(data, prefix=f"source-{number}")
        self.number = number + 1
        self._before = self._among(before)
        self.picker = picking.picker(
            "files", f"source-{number}-file_id", data, user, is_single=True
        )
        self.full_clean()

    @property
    def opens_details(self) -> bool:
        """Whether something is wrong, or typed, in a field that is folded away."""
        return any(
            self.errors.get(name) or self._typed(name) for name in (*sources.COMMANDS, *CODES)
        )

    @property
    def folded(self) -> list[forms.BoundField]:
        return [self[name] for name in (*sources.COMMANDS, *CODES)]

    def given(self) -> dict[str, Any]:
        typed = {name: self._typed(name) for name in self.fields}
        for name in sources.COMMANDS:
            typed[name] = line_ends.meant(typed[name], self._before.get(name, ""))
        codes = {name: values.numbers(typed.pop(name)) for name in CODES}
        return {**typed, "file_id": self._file(), **codes}

    def is_empty(self) -> bool:
        texts = [self._typed(name) for name in self.fields if name not in _AT_FIRST]
        return not any([*texts, self._file()])

    def _among(self, before: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """What it was filled in with: the source of its platform, else the one in its place."""
        platform = (self._typed("os"), self._typed("architecture").lower() or ANY_ARCHITECTURE)
        same = [one for one in before if (one["os"], one["architecture"]) == platform]
        return next(iter([*same, *before[self.number - 1 :]]), {})

    def _file(self) -> str:
        return str(self.data.get(f"{self.prefix}-file_id", "")).strip()

    def _typed(self, name: str) -> str:
        return str(self.data.get(f"{self.prefix}-{name}", "")).replace("\r\n", "\n").strip()

    def refuse_text(self, said: str) -> None:
        """ "url must be …; sha256 must be …" beside the fields it names, anything else above them."""
        for message in said.split("; "):
            name, _blank, rest = message.partition(" ")
            is_of_one = name in self.fields and not rest.startswith("and ")
            self.add_error(name if is_of_one else None, rest if is_of_one else message)


class SoftwareForm:
    """`data` is what was typed: a POST, or what `filled` made."""

    def __init__(self, data: Typed, user: User, *, entry: Software | None = None) -> None:
        self.data, self.entry = data, entry
        self.basics = BasicsForm(data)
        self.basics.full_clean()
        self._before = software.as_input(entry) if entry else {}
        before = self._before.get("sources", [])
        self.sources = [SourceForm(number, data, user, before) for number in range(_count(data))]
        self.dependencies = picking.picker("software", "dependency_ids", data, user)
        self.dependency_errors: list[str] = []
        self.other_errors: list[str] = []

    @property
    def has_errors(self) -> bool:
        parts = [self.basics.errors, *(one.errors for one in self.sources)]
        return any([*parts, self.dependency_errors, self.other_errors])

    def definition(self) -> dict[str, Any]:
        """The raw data of an entry, under the input names of api.md."""
        chosen = [one.strip() for one in self.data.getlist("dependency_ids") if one.strip()]
        return {
            **self.basics.given(self._before),
            "dependency_ids": chosen,
            "sources": [one.given() for one in self._filled_in()],
        }

    def refuse(self, refusal: InvalidInput) -> None:
        """Puts what a verb refused beside its fields."""
        for name, messages in refusal.errors.items():
            if name == "sources":
                self._refuse_sources(messages)
            elif name == "dependency_ids":
                self.dependency_errors += messages
            elif name == "requirements":
                self._refuse_requirements(messages)
            elif name in self.basics.fields:
                self.basics.refuse(InvalidInput({name: messages}))
            else:
                self.other_errors += messages

    def _refuse_requirements(self, messages: Sequence[str]) -> None:
        """They begin with the name of the one they are about."""
        for message in messages:
            name, _blank, said = message.partition(" ")
            if name in self.basics.fields:
                self.basics.add_error(name, said)
            else:
                self.other_errors.append(message)

    def _filled_in(self) -> list[SourceForm]:
        return [one for one in self.sources if not one.is_empty()]

    def _refuse_sources(self, messages: Sequence[str]) -> None:
        filled_in = self._filled_in()
        for message in messages:
            found = _NUMBERED.fullmatch(message)
            if found and 1 <= int(found[1]) <= len(filled_in):
                filled_in[int(found[1]) - 1].refuse_text(found[2])
            else:
                self.other_errors.append(message)


def with_one_more(data: Typed) -> Typed:
    """The same, with an empty source at the end."""
    typed = data.copy()
    number = _count(data)
    typed["sources"] = str(min(number + 1, sources.MOST_SOURCES))
    for name, text in _AT_FIRST.items():
        typed[f"source-{number}-{name}"] = text
    return typed


def without(data: Typed, number: str) -> Typed:
    """The same without the source of this number, counted from 1; those after it move up."""
    count = _count(data)
    if not (number.isascii() and number.isdecimal() and 1 <= int(number[:3]) <= count):
        return data
    kept = [one for one in range(count) if one != int(number) - 1]
    typed: Typed = MultiValueDict()
    for name in data:
        if not name.startswith("source-"):
            typed.setlist(name, data.getlist(name))
    for new, old in enumerate(kept):
        for name in data:
            if name.startswith(f"source-{old}-"):
                renamed = f"source-{new}-{name.removeprefix(f'source-{old}-')}"
                typed.setlist(renamed, data.getlist(name))
    typed["sources"] = str(len(kept))
    return typed


def fresh() -> Typed:
    return with_one_more(MultiValueDict({"sources": ["0"]}))


def filled(entry: Software) -> Typed:
    """The form as one would fill it in for this entry."""
    given = software.as_input(entry)
    fields: dict[str, list[str]] = {name: [given[name]] for name in BASICS}
    fields |= {name: [str(one)] for name, one in given["requirements"].items()}
    fields["dependency_ids"] = given["dependency_ids"]
    fields["sources"] = [str(len(given["sources"]))]
    for number, source in enumerate(given["sources"]):
        fields |= _typed_source(number, source)
    return MultiValueDict(fields)


def _typed_source(number: int, source: Mapping[str, Any]) -> dict[str, list[str]]:
    texts = {name: ", ".join(map(str, source[name])) for name in CODES}
    texts |= {name: source[name] or "" for name in source if name not in CODES}
    return {f"source-{number}-{name}": [text] for name, text in texts.items()}


def _count(data: Typed) -> int:
    text = str(data.get("sources", "0"))
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 4 else 0
    return min(number, sources.MOST_SOURCES)
