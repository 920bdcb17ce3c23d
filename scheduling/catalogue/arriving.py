"""Where a form's file lies while it arrives: under a name of ours alone, its extension included."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadedfile import TemporaryUploadedFile
from django.core.files.uploadhandler import FileUploadHandler, TemporaryFileUploadHandler


class NamelessUploadHandler(TemporaryFileUploadHandler):
    """Django's own gives the file on the disk the extension that the sender gave it."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        FileUploadHandler.new_file(self, *args, **kwargs)
        told = (self.content_type, 0, self.charset, self.content_type_extra)
        self.file = TemporaryUploadedFile("part", *told)
        self.file.name = self.file_name
