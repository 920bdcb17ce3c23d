"""Which addresses an agent may talk to: encrypted ones, and its own machine."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def objection(url: str, encrypted: str, plain: str) -> str | None:
    """Why this is no address to use, or None; `encrypted` and `plain` are the two schemes."""
    parts = urlsplit(url)
    if parts.scheme not in (encrypted, plain) or not parts.hostname:
        return f"{url!r} is not an {encrypted}:// address"
    if parts.scheme == plain and not is_loopback(url):
        return f"{plain}:// is refused except to this machine itself; use {encrypted}://"
    return None
