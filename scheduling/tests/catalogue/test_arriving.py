"""A form's file on its way in has no name of a person's on the disk."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from django.test import RequestFactory


@pytest.mark.parametrize("name", ["evil.php", "plain"])
def test_a_large_part_lies_under_a_name_of_ours(
    rf: RequestFactory, settings: Any, name: str
) -> None:
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 10
    request = rf.post("/files/new", {"file": SimpleUploadedFile(name, b"x" * 100)})
    part = request.FILES["file"]
    assert isinstance(part, TemporaryUploadedFile)
    assert (part.name, part.read()) == (name, b"x" * 100)
    assert part.temporary_file_path().endswith(".upload")
