"""Every link between our documents leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.running import CHECKOUT

LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
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


def anchors(document: Path) -> set[str]:
    """What the headings of a document are called in links, as forges make it of them."""
    headings = re.findall(r"(?m)^#+ (.+)$", document.read_text())
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
