from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from scheduling.tests.catalogue.conftest import files_dir, stored

__all__ = ["files_dir", "stored"]


@dataclass
class Said:
    """What a command printed, and the code it ended with."""

    out: str
    err: str
    code: int

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Manage = Callable[..., Said]
Schedule = Callable[..., Said]


@pytest.fixture
def manage(admin: User) -> Manage:
    """Runs `manage.py …` in this process; there is an administrator to act as."""

    def run(command: str, *arguments: object) -> Said:
        out, err, code = io.StringIO(), io.StringIO(), 0
        try:
            call_command(command, *map(str, arguments), stdout=out, stderr=err)
        except SystemExit as end:
            code = int(end.code or 0)
        return Said(out.getvalue(), err.getvalue(), code)

    return run


@pytest.fixture
def schedule(manage: Manage) -> Schedule:
    return partial(manage, "schedule")
