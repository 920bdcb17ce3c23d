"""Every link between our documents leads somewhere, and every picture in them is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.running import CHECKOUT

LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
PICTURE = re.compile(r"""<(?:source|img)\b[^>]*?\s(?:srcset|src)=["']([^"']+)["']""")
DOCUMENTS = [
    CHECKOUT / name for name in ("README.md", "DEVELOPERS.md", "CONTRIBUTING.md")
] + sorted((CHECKOUT / "docs").rglob("*.md"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_its_links_lead_somewhere(document: Path) -> None:
    broken = []
    for path, anchor in LINK.findall(document.read_text()):
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(f"{path}#{anchor}")
    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_its_pictures_are_there(document: Path) -> None:
    """Those for dark and light readers; a picture in Markdown is a link as any other."""
    pictures = [
        one.split()[0]
        for found in PICTURE.findall(document.read_text())
        for one in found.split(",")
    ]
    assert [path for path in pictures if not (document.parent / path).exists()] == []


def test_the_front_page_has_pictures_for_light_and_dark() -> None:
    found = PICTURE.findall((CHECKOUT / "README.md").read_text())
    assert any("-dark-" in path for path in found)
    assert any("-light-" in path for path in found)


def anchors(document: Path) -> set[str]:
    """What the headings of a document are called in links, as forges make it of them."""
    headings = re.findall(r"(?m)^#+ (.+)$", document.read_text())
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
