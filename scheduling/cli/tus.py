"""A file brought to a server over HTTP in pieces, by tus 1.0: it goes on where it stood after a cut,
also when the command is called again. The token comes from DEPLOYX_TOKEN, never from the arguments."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from django.utils.translation import gettext as _

from accounts.errors import InvalidInput

PIECE_BYTES = 8 * 1024 * 1024
ANSWER_WITHIN_SECONDS = 60
# After the last piece the server reads all of it, and may take it to a bucket.
FINISHED_WITHIN_SECONDS = 900
PAUSES_SECONDS = (1, 2, 5, 10, 20, 30)
LOOPBACK = ("localhost", "127.0.0.1", "::1")
Progress = Callable[[int], None]


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The token goes to the server that was named and to no other."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirects)


class Remote:
    """A server and a token for it. Raises InvalidInput where the one is no safe place for the other."""

    def __init__(self, server: str, token: str) -> None:
        parts = urlsplit(server)
        is_safe = parts.scheme == "https" or parts.hostname in LOOPBACK
        if parts.scheme not in ("http", "https") or not parts.hostname or not is_safe:
            raise InvalidInput({"server": [_("must be an https:// address.")]})
        if not token:
            raise InvalidInput({"server": [_("Put an API token into DEPLOYX_TOKEN.")]})
        self._server, self._token = server, token

    def ask(
        self,
        method: str,
        address: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        within_seconds: int = ANSWER_WITHIN_SECONDS,
    ) -> Message:
        """The answer's headers. Raises InvalidInput for what was refused, OSError for what may pass,
        FileNotFoundError for what is not there."""
        ours = {"Authorization": f"Bearer {self._token}", "Tus-Resumable": "1.0.0", **headers}
        place = urljoin(self._server, urlsplit(address).path)
        request = urllib.request.Request(place, data=body, headers=ours, method=method)  # noqa: S310
        try:
            with _opener.open(request, timeout=within_seconds) as answer:
                heard: Message = answer.headers
                return heard
        except urllib.error.HTTPError as error:
            if error.code == 409 and error.headers.get("Upload-Offset"):
                return error.headers
            raise _refusal(error) from None

    def upload(self, path: Path, data: Mapping[str, str], progress: Progress) -> str:
        """The id of the new file. Raises InvalidInput, and OSError where the server stays away."""
        note = _note(self._server, path)
        failures = 0
        while True:
            try:
                place, headers = self._begun(note, path, data)
                while (file := headers.get("X-DeployX-File")) is None:
                    offset = int(headers["Upload-Offset"])
                    progress(offset)
                    headers = self._piece(place, path, offset)
                    failures = 0
                note.unlink(missing_ok=True)
                progress(path.stat().st_size)
                return str(file)
            except OSError:
                if failures == len(PAUSES_SECONDS):
                    raise
                time.sleep(PAUSES_SECONDS[failures])
                failures += 1

    def _begun(self, note: Path, path: Path, data: Mapping[str, str]) -> tuple[str, Message]:
        """Where the upload is and how far, one begun before if it is still there."""
        if note.exists():
            place = note.read_text()
            try:
                return place, self.ask("HEAD", place, {})
            except FileNotFoundError:
                note.unlink()
        pairs = (
            f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in data.items()
        )
        length = str(path.stat().st_size)
        headers = {"Upload-Length": length, "Upload-Metadata": ",".join(pairs)}
        answer = self.ask("POST", "/api/files/uploads", headers)
        place = urlsplit(answer["Location"]).path
        note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        note.write_text(place)
        return place, answer

    def _piece(self, place: str, path: Path, offset: int) -> Message:
        headers = {
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
        }
        with path.open("rb") as file:
            file.seek(offset)
            piece = file.read(PIECE_BYTES)
        is_last = offset + len(piece) == path.stat().st_size
        within_seconds = FINISHED_WITHIN_SECONDS if is_last else ANSWER_WITHIN_SECONDS
        return self.ask("PATCH", place, headers, piece, within_seconds=within_seconds)


def _note(server: str, path: Path) -> Path:
    """Where it is written down what was begun with this very file at this server."""
    state = path.stat()
    named = f"{server}\n{path.resolve()}\n{state.st_size}\n{state.st_mtime_ns}"
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return home / "deployx" / "uploads" / hashlib.sha256(named.encode()).hexdigest()


def _refusal(error: urllib.error.HTTPError) -> Exception:
    if error.code >= 500 or error.code in (408, 409, 429):
        return OSError(f"{error.code} {error.reason}")
    if error.code == 404 and error.url is not None and "/uploads/" in error.url:
        return FileNotFoundError(error.url)
    try:
        answer = json.loads(error.read(65_536) or b"{}")
    except ValueError:
        answer = {}
    if not isinstance(answer, dict) or not answer:
        answer = {"server": f"{error.code} {error.reason}"}
    return InvalidInput(
        {name: [said] if isinstance(said, str) else said for name, said in answer.items()}
    )
