from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command


@dataclass
class Said:
    """What a command printed, and the code it ended with."""

    out: str
    err: str
    code: int

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Schedule = Callable[..., Said]


@pytest.fixture
def schedule(admin: User) -> Schedule:
    """Runs `manage.py schedule …` in this process; there is an administrator to act as."""

    def run(*arguments: object) -> Said:
        out, err, code = io.StringIO(), io.StringIO(), 0
        try:
            call_command("schedule", *map(str, arguments), stdout=out, stderr=err)
        except SystemExit as end:
            code = int(end.code or 0)
        return Said(out.getvalue(), err.getvalue(), code)

    return run
