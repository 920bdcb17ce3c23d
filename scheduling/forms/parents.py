"""Which tasks a task runs after, as form fields: `depends_on` names each, `depends_on-<id>` says on
which of its ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from scheduling.models import TaskDependency

if TYPE_CHECKING:
    from scheduling.forms.payload import Typed

NAME = "depends_on"


def typed(parents: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """The fields as one would fill them in for these, which are as api.md has them."""
    ends = {f"{NAME}-{one['task_id']}": [one["on"]] for one in parents}
    return {NAME: [one["task_id"] for one in parents], **ends}


def definition(data: Typed) -> list[dict[str, str]]:
    """What was chosen, as api.md has it."""
    ids = dict.fromkeys(text.strip() for text in data.getlist(NAME) if text.strip())
    at_first = TaskDependency.On.SUCCESS
    return [{"task_id": one, "on": data.get(f"{NAME}-{one}", at_first)} for one in ids]
