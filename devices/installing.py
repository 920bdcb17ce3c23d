"""What a machine needs to become a device: a script, and the line that fetches and runs it."""

from __future__ import annotations

import shlex
from pathlib import Path

from django.conf import settings

from devices import wheel

SCRIPT_PATH = "/agent/install.sh"
_TEMPLATE = Path(__file__).resolve().parent / "install.sh"


def script() -> str:
    """`install.sh` with this server's address, and the digest of the wheel it is to install."""
    packed = wheel.built()
    given = {"@SERVER@": server(), "@WHEEL@": packed.name, "@SHA256@": packed.sha256}
    text = _TEMPLATE.read_text(encoding="utf-8")
    for name, value in given.items():
        text = text.replace(name, shlex.quote(value))
    return text


def line(token_file: str, fingerprint: str | None) -> str:
    """For a person to copy; the token's text is not in it."""
    words = ["--token-file", token_file]
    if fingerprint:
        words += ["--fingerprint", fingerprint]
    address = shlex.quote(server() + SCRIPT_PATH)
    return f"curl -fsS {address} | sudo sh -s -- {shlex.join(words)}"


def wheel_address() -> str:
    """With the digest, which pip checks."""
    packed = wheel.built()
    return f"{server()}/agent/{packed.name}#sha256={packed.sha256}"


def server() -> str:
    return str(settings.DEPLOYX_PUBLIC_URL).rstrip("/")
