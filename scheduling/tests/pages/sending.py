"""A page's form, filled in as it is and sent, with what a browser does to it on the way."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from django.utils.datastructures import MultiValueDict

Sent = dict[str, list[str]]


def sent(answer: Any) -> Sent:
    """What its fields send; its buttons send nothing."""
    reader = _Form()
    reader.feed(answer.content.decode())
    return dict(reader.found.lists())


class _Form(HTMLParser):
    """Reads the form that is the page's matter: others search, or sign out."""

    def __init__(self) -> None:
        super().__init__()
        self.found: MultiValueDict[str, str] = MultiValueDict()
        self._is_inside = False
        self._select: str | None = None
        self._options: list[tuple[str, bool]] = []
        self._area: str | None = None
        self._text = ""

    def handle_starttag(self, tag: str, given: list[tuple[str, str | None]]) -> None:
        attributes = {name: text or "" for name, text in given}
        if tag == "form":
            self._is_inside = attributes.get("class") == "form"
        elif not self._is_inside:
            return
        elif tag == "input":
            self._input(attributes)
        elif tag == "select":
            self._select, self._options = attributes["name"], []
        elif tag == "option" and self._select:
            self._options.append((attributes["value"], "selected" in attributes))
        elif tag == "textarea":
            self._area, self._text = attributes["name"], ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._is_inside = False
        elif tag == "select" and self._select:
            chosen = [one for one, is_chosen in self._options if is_chosen]
            first = [one for one, _is_chosen in self._options[:1]]
            self.found.setlistdefault(self._select).extend(chosen[-1:] or first)
            self._select = None
        elif tag == "textarea" and self._area:
            lines = self._text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\n")
            self.found.appendlist(self._area, lines.replace("\n", "\r\n"))
            self._area = None

    def _input(self, attributes: dict[str, str]) -> None:
        is_box = attributes.get("type") in ("checkbox", "radio")
        if "name" not in attributes or (is_box and "checked" not in attributes):
            return
        text = attributes.get("value", "on" if is_box else "")
        if attributes.get("type") != "hidden":
            text = text.replace("\n", "").replace("\r", "")
        self.found.appendlist(attributes["name"], text)
