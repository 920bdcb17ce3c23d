"""The icons of lucide, as it is installed."""

from __future__ import annotations

from functools import cache
from importlib import resources
from io import BytesIO
from xml.etree import ElementTree
from zipfile import ZipFile

_SVG = "http://www.w3.org/2000/svg"


def svg(name: str, size: int, css: str = "") -> str:
    """The icon as an element for a page, that many pixels wide and high. Raises KeyError where there is
    none of this name. A screen reader is spared it."""
    root = ElementTree.fromstring(_archive().read(f"{name}.svg"))  # noqa: S314 - the package's own
    for node in root.iter():
        node.tag = node.tag.removeprefix(f"{{{_SVG}}}")
    root.attrib |= {"width": str(size), "height": str(size), "aria-hidden": "true"}
    if css:
        root.set("class", css)
    return ElementTree.tostring(root, encoding="unicode")


@cache
def _archive() -> ZipFile:
    """Kept open: the package's own tag reads all 1,700 names anew for each icon, which made the first
    page of a process come half a second later."""
    return ZipFile(BytesIO(resources.files("lucide").joinpath("lucide.zip").read_bytes()))
