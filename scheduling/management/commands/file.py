from __future__ import annotations

import os
import shutil
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from accounts.errors import InvalidInput
from scheduling.catalogue import files, store, uploads
from scheduling.cli import finding, rendering, rows, tus
from scheduling.cli.door import REFUSED, VerbCommand, add_search, add_verbs, add_yes, limited
from scheduling.models import StoredFile, Upload

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class Command(VerbCommand):
    help = "Stores files that tasks put on devices."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = {
            "list": ("the files", add_search),
            "show": ("one file, and what uses it", _file),
            "upload": ("store a file, here or with --server on another machine", _upload),
            "download": ("write a file's bytes to this machine", _download),
            "delete": ("delete a file that nothing uses", _delete),
            "uploads": ("what is being uploaded, and how far it is", add_search),
            "cancel": ("give up an upload that is under way", _cancel),
        }
        add_verbs(parser, verbs)

    def act(self, options: Mapping[str, Any]) -> int | None:
        if options["verb"] == "upload" and options["server"]:
            return self._upload_to_server(options)
        return super().act(options)

    def do_list(self, user: User, options: Mapping[str, Any]) -> None:
        found = StoredFile.objects.visible_to(user).select_related("blob", "user")
        if options["search"]:
            found = found.filter(name__icontains=options["search"])
        listed = limited(found, options)
        if not listed and not options["as_json"]:
            self._out.print(_("No files."))
            return
        self._show(rows.files_json(listed), options, lambda: rows.files(listed))

    def do_show(self, user: User, options: Mapping[str, Any]) -> None:
        self._show_file(finding.file(user, options["file"]), user, options)

    def do_upload(self, user: User, options: Mapping[str, Any]) -> None:
        path = _readable(options["path"])
        size = path.stat().st_size
        try:
            with path.open("rb") as source, self._bar(path.name, size) as at:
                made = files.create(user, _described(path, options), _pieces(source, at), size)
        except files.TooLarge as refusal:
            raise InvalidInput({"file": [str(refusal)]}) from None
        self._show_file(finding.file(user, str(made.pk)), user, options)

    def do_download(self, user: User, options: Mapping[str, Any]) -> int | None:
        file = finding.file(user, options["file"])
        target = Path(options["output"] or Path(file.name).name)
        try:
            with target.open("xb") as written, store.opened(file.blob_id) as source:
                shutil.copyfileobj(source, written, store.PIECE_BYTES)
        except FileExistsError:
            raise InvalidInput({"output": [_("%s is there already.") % target]}) from None
        except OSError as error:
            raise InvalidInput({"output": [f"{target}: {error.strerror}"]}) from None
        self._said({"id": str(file.pk), "path": str(target)}, options, _("Written to %s.") % target)
        return None

    def do_delete(self, user: User, options: Mapping[str, Any]) -> int | None:
        file = finding.file(user, options["file"])
        question = _("This deletes the file “%s”; what devices have of it stays.") % file.name
        if not self._agrees(question, options):
            return REFUSED
        row = {"id": str(file.pk), "name": file.name}
        files.delete(file, user)
        self._said(row, options, _("“%s” is deleted.") % row["name"])
        return None

    def do_uploads(self, user: User, options: Mapping[str, Any]) -> None:
        found = finding.uploads(user).order_by("-pk")
        if options["search"]:
            found = found.filter(name__icontains=options["search"])
        listed = limited(found, options)
        if not listed and not options["as_json"]:
            self._out.print(_("Nothing is being uploaded."))
            return
        self._show(rows.uploads_json(listed), options, lambda: rows.uploads(listed))

    def do_cancel(self, user: User, options: Mapping[str, Any]) -> int | None:
        upload = finding.upload(user, options["upload"])
        question = _("This cancels the upload of “%(name)s”; %(size)s of it are thrown away.")
        if not self._agrees(question % _done(upload), options):
            return REFUSED
        row = {"id": str(upload.pk), "name": upload.name}
        try:
            uploads.give_up(upload)
        except Upload.DoesNotExist:
            finding.upload(user, row["id"])  # which says that it is gone
        self._said(row, options, _("The upload of “%s” is cancelled.") % upload.name)
        return None

    def _upload_to_server(self, options: Mapping[str, Any]) -> int | None:
        path = _readable(options["path"])
        remote = tus.Remote(options["server"], os.environ.get("DEPLOYX_TOKEN", ""))
        given = _described(path, options)
        try:
            with self._bar(path.name, path.stat().st_size) as at:
                pk = remote.upload(path, {"filename": given["name"], **given}, at)
        except OSError as error:
            said = _("The server does not answer (%s). Call this again: it goes on where it stood.")
            self._err.print(rendering.text(said % error))
            return REFUSED
        self._said({"id": pk, "name": given["name"]}, options, _("Stored: %s") % pk)
        return None

    @contextmanager
    def _bar(self, name: str, size: int) -> Iterator[tus.Progress]:
        """A progress bar where somebody looks."""
        parts = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
        )
        with Progress(*parts, console=self._err, disable=not self._err.is_terminal) as bar:
            task = bar.add_task(str(rendering.text(name)), total=size)
            yield lambda done: bar.update(task, completed=done)

    def _show_file(self, file: StoredFile, user: User, options: Mapping[str, Any]) -> None:
        (shown,) = rows.files_json([file])
        self._show(shown, options, lambda: rows.file(file, files.used_by(file, user)))


def _pieces(source: Any, at: tus.Progress) -> Iterator[bytes]:
    done = 0
    while piece := source.read(store.PIECE_BYTES):
        yield piece
        done += len(piece)
        at(done)


def _done(upload: Upload) -> dict[str, str]:
    return {"name": upload.name, "size": filesizeformat(upload.received)}


def _readable(given: str) -> Path:
    path = Path(given)
    if not path.is_file() or not os.access(path, os.R_OK):
        raise InvalidInput({"path": [_("%s is not a file that can be read.") % given]})
    return path


def _described(path: Path, options: Mapping[str, Any]) -> dict[str, str]:
    return {"name": options["name"] or path.name, "description": options["description"] or ""}


def _file(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="its id or its exact name")


def _upload(parser: ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", help="the file on this machine")
    parser.add_argument("--name", help="default: the file's own")
    parser.add_argument("--description")
    parser.add_argument(
        "--server", metavar="URL", help="another machine's DeployX; its API token in DEPLOYX_TOKEN"
    )


def _download(parser: ArgumentParser) -> None:
    _file(parser)
    parser.add_argument("--output", metavar="PATH", help="default: its name, in this folder")


def _delete(parser: ArgumentParser) -> None:
    _file(parser)
    add_yes(parser)


def _cancel(parser: ArgumentParser) -> None:
    parser.add_argument("upload", metavar="UPLOAD", help="its id or its exact name")
    add_yes(parser)
