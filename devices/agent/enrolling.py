"""Becoming a device of a server: a new key, a token, and the server's key to pin."""

from __future__ import annotations

import http.client
import socket
import urllib.error
import urllib.request
from typing import Any

from . import __version__
from .addresses import is_loopback, objection
from .config import ConfigError, StateDir
from .facts import gather
from .identity import DeviceKey, Server, create_key, save_server
from .protocol import (
    ENROLL_PATH,
    EnrolmentAnswer,
    EnrolmentRequest,
    ProtocolError,
    decode_enrolment_answer,
    encode_enrolment,
    enroll_bytes,
    fingerprint,
)

_TIMEOUT_SECONDS = 30.0
_MOST_ANSWER_BYTES = 64 * 1024


class EnrolmentRefused(Exception):
    """The server said no, or said something that cannot be trusted."""


def enroll(state: StateDir, url: str, token: str, name: str | None, expected: str | None) -> Server:
    """Enrol the machine and pin the server's key, whose fingerprint must be `expected` where
    that is given. Raises ConfigError and EnrolmentRefused."""
    if problem := objection(url, "https", "http"):
        raise ConfigError(problem)
    state.create()
    key = create_key(state)
    chosen = name or socket.gethostname()
    answer = _ask(url.rstrip("/"), _request(key, token, chosen))
    found = fingerprint(answer.server_key)
    if expected is not None and found != _bare(expected):
        raise EnrolmentRefused(f"the server's key has the fingerprint {found}, not {expected}")
    if problem := objection(answer.socket, "wss", "ws"):
        raise EnrolmentRefused(f"the server names an address that cannot be used: {problem}")
    server = Server(
        url=url.rstrip("/"),
        socket=answer.socket,
        server_id=answer.server_id,
        device_id=answer.device_id,
        name=chosen,
        key=answer.server_key.hex(),
    )
    save_server(state, server)
    return server


def _bare(text: str) -> str:
    return text.strip().lower().removeprefix("sha256:").replace(":", "")


def _request(key: DeviceKey, token: str, name: str) -> EnrolmentRequest:
    return EnrolmentRequest(
        token=token,
        name=name[:200],
        public_key=key.public,
        signature=key.sign(enroll_bytes(token, key.public)),
        agent_version=__version__,
        facts=gather(),
    )


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token goes to the address a person typed, and nowhere else."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def _ask(url: str, request: EnrolmentRequest) -> EnrolmentAnswer:
    proxies = urllib.request.ProxyHandler({} if is_loopback(url) else None)
    opener = urllib.request.build_opener(proxies, _NoRedirects)
    headers = {"Content-Type": "application/json", "User-Agent": f"deployx-agent/{__version__}"}
    body = encode_enrolment(request).encode()
    call = urllib.request.Request(url + ENROLL_PATH, body, headers, method="POST")  # noqa: S310  (the address is checked by `objection`)
    try:
        with opener.open(call, timeout=_TIMEOUT_SECONDS) as answer:
            if answer.status != 201:
                raise EnrolmentRefused(f"the server answered {answer.status}")
            return decode_enrolment_answer(answer.read(_MOST_ANSWER_BYTES))
    except urllib.error.HTTPError as refusal:
        raise EnrolmentRefused(_wording(refusal.code)) from None
    except ProtocolError as problem:
        raise EnrolmentRefused(f"the server's answer cannot be understood: {problem}") from None
    except (OSError, http.client.HTTPException) as problem:
        raise EnrolmentRefused(f"cannot reach {url}: {problem}") from None


def _wording(status: int) -> str:
    if status == 403:
        return "the server refused: the token is wrong, used up or expired"
    if status == 429:
        return "the server is asked too often; try again in a minute"
    return f"the server answered {status}"
