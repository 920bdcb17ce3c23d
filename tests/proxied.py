"""A real nginx with the locations of `deploy/nginx.conf`, without TLS, on a free port of this machine."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.running import CHECKOUT, free_port, until

CONFIG = CHECKOUT / "deploy" / "nginx.conf"


def program() -> str | None:
    """nginx (apt-get install nginx-light), which many systems keep out of people's PATH."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def config(
    folder: Path,
    port: int,
    web: str,
    files: Path,
    agents: str | None = None,
    limits: Mapping[str, int] | None = None,
) -> str:
    """The shipped configuration, its places changed for those of a test."""
    text = CONFIG.read_text()
    lowered = [
        (rf"limit_conn {zone} \d+;", f"limit_conn {zone} {most};")
        for zone, most in (limits or {}).items()
    ]
    for pattern, replacement in (
        *lowered,
        (r"/tmp/(\w+)", rf"{folder}/\1"),
        (r"^ *(ssl_\w+|resolver) [^;]*;$", ""),
        (r"listen 8443 ssl;", f"listen 127.0.0.1:{port};"),
        (r"listen 8080;", f"listen 127.0.0.1:{free_port()};"),
        (r"http://web:8000", web),
        (r"http://agents:8000", agents or web),
        (r"/files/blobs/;", f"{files}/blobs/;"),
        (r"/dev/stdout", f"{folder}/access.log"),
        (r"/dev/stderr", f"{folder}/error.log"),
    ):
        text, number = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        assert number, f"deploy/nginx.conf holds no {pattern}"
    return f"daemon off;\n{user_line()}\n{text}"


def user_line() -> str:
    """Whose rights its workers have: those of whoever started it."""
    return "user root;" if os.geteuid() == 0 else ""


@contextlib.contextmanager
def nginx(
    folder: Path,
    web: str,
    files: Path,
    agents: str | None = None,
    limits: Mapping[str, int] | None = None,
) -> Iterator[str]:
    """Its address; `web` is what it passes requests on to, `agents` the agents' connections (None:
    to `web` as well), `files` the stored files, `limits` what an address may have under way, by zone."""
    found = program()
    assert found, "there is no nginx: apt-get install nginx-light"
    folder.mkdir(exist_ok=True)
    port = free_port()
    place = folder / "nginx.conf"
    place.write_text(config(folder, port, web, files, agents, limits))
    errors = folder / "error.log"
    command = [found, "-e", str(errors), "-p", str(folder), "-c", str(place)]
    process = subprocess.Popen(command)
    try:
        until(lambda: answers(port, process), what="nginx up")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "nginx does not start"
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
