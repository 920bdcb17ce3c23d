"""Whatever a person reads is there in every language, whole, and with the same placeholders."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import polib
import pytest
from django.conf import settings
from django.utils.translation import gettext, override

from deployx.translation import Message, compile_stale, extract, merge
from deployx.translation.extraction import of_python, of_template

CATALOGUES = sorted(Path(settings.LOCALE_PATHS[0]).glob("*/LC_MESSAGES/django.po"))
TEMPLATES = sorted(Path(settings.BASE_DIR / "templates").rglob("*.*"))
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[.\d]*[sdf]|(?<!\$)\{\w*\}")
NO_TEXT = re.compile(
    r"\{%\s*(blocktranslate|comment).*?\{%\s*end\1\s*%\}|\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", re.DOTALL
)
SAME_EVERYWHERE = {"DeployX", "UTC", "JSON", "DELETE", "HTTP", "SHA-256", "CLI", "curl", "MB"}

each_catalogue = pytest.mark.parametrize(
    "catalogue", CATALOGUES, ids=lambda path: path.parent.parent.name
)


@each_catalogue
def test_a_catalogue_holds_what_the_source_says_and_nothing_else(catalogue: Path) -> None:
    now = {(one.msgctxt, one.msgid) for one in polib.pofile(str(catalogue))}
    wanted = {(one.msgctxt, one.msgid) for one in merge(extract(settings.BASE_DIR), catalogue)}
    assert (wanted - now, now - wanted) == (set(), set()), "make messages brings it up to date"


@each_catalogue
def test_every_text_is_translated(catalogue: Path) -> None:
    assert [one.msgid for one in polib.pofile(str(catalogue)) if not one.translated()] == []


@each_catalogue
def test_placeholders_and_lines_are_those_of_the_original(catalogue: Path) -> None:
    wrong = []
    for entry in polib.pofile(str(catalogue)):
        forms = entry.msgstr_plural or {1: entry.msgstr}
        for number, text in forms.items() if entry.translated() else ():
            original = entry.msgid_plural if number and entry.msgid_plural else entry.msgid
            if parts(text) != parts(original) and parts(text) != parts(entry.msgid_plural):
                wrong.append((original, text))
    assert wrong == []


def parts(text: str) -> tuple[list[str], str, str]:
    """What a translation may not lose: placeholders, and the blanks at both ends."""
    ends = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    return (sorted(PLACEHOLDER.findall(text)), *ends)


class Reader(HTMLParser):
    """Collects the words a person would read, but for code."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in ("script", "style", "code", "pre", "kbd")
        read = ("title", "aria-label", "placeholder", "alt", "aria-description")
        self.words += [value or "" for name, value in attrs if name in read]

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style", "code", "pre", "kbd")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            # Some partials are nothing but attributes of a tag that another template opens.
            self.words.append(re.sub(r'[\w-]+="[^"]*"', " ", data))


def bare(source: str) -> list[str]:
    """The words of a template that are marked for no translation."""
    reader = Reader()
    reader.feed(NO_TEXT.sub(" ", source))
    words = re.findall(r"[^\W\d_][\w-]+", " ".join(reader.words))
    return [word for word in words if word not in SAME_EVERYWHERE]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_says_anything_in_one_language_alone(path: Path) -> None:
    assert bare(path.read_text()) == []


def test_a_bare_word_is_found() -> None:
    page = '<p title="Tip">{% translate "a" %} Some <b>{{ x }}</b> <code>ls</code></p>'
    assert bare(page) == ["Tip", "Some"]


def test_what_is_marked_is_found_in_both_kinds_of_source() -> None:
    said = '_("a%s") + ngettext("one", "many", n) + _(label)'
    assert list(of_python(said)) == [Message("", "a%s", ""), Message("", "one", "many")]
    page = (
        "{% load i18n %}{% translate 'Own' %}{% blocktranslate trimmed count n=n %}\n {{ n }} day"
        "{% plural %}{{ n }} days{% endblocktranslate %}{% include 'x' with name=_('Name') %}"
    )
    assert list(of_template(page)) == [
        Message("", "Own", ""),
        Message("", "%(n)s day", "%(n)s days"),
        Message("", "Name", ""),
    ]


def test_what_was_translated_stays_when_the_source_moves_on(tmp_path: Path) -> None:
    path = tmp_path / "django.po"
    path.write_text('msgid "stays"\nmsgstr "bleibt"\n\nmsgid "goes"\nmsgstr "geht"\n')
    said = {Message("", "stays", ""): ["a.py"], Message("", "new", ""): ["b.py"]}
    assert {one.msgid: one.msgstr for one in merge(said, path)} == {"stays": "bleibt", "new": ""}


def test_a_catalogue_is_compiled_once_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "xx" / "LC_MESSAGES" / "django.po"
    path.parent.mkdir(parents=True)
    path.write_text('msgid "a"\nmsgstr "b"\n')
    assert compile_stale(tmp_path) == [path]
    assert compile_stale(tmp_path) == []


def test_a_german_reads_german() -> None:
    with override("de"):
        assert gettext("Scheduled tasks") == "Geplante Aufgaben"
