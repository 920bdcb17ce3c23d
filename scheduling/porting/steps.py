"""What an import is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from scheduling.porting.linking import Link

Action = Literal["create", "change", "keep", "delete"]


@dataclass(frozen=True, slots=True)
class Change:
    """A field that gets another value. Devices, groups and tasks are shown by their names."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Loss:
    """What goes with a deleted task: runs under way are cancelled, `dependents` no longer start
    after it. Its executions stay readable. That it runs meanwhile makes no other loss of it."""

    executions: int = field(compare=False)
    runs_under_way: int = field(compare=False)
    dependents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Writing:
    """What the verbs are given to write an entry. `ref` is how links name its task."""

    ref: str
    data: dict[str, Any]
    links: tuple[Link, ...]
    paused: bool | None
    owner_id: int
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of one task. `task_id` is a new one's where the document has an id that is
    free. `warnings` are about its rule."""

    action: Action
    name: str
    owner: str
    task_id: UUID | None
    changes: tuple[Change, ...] = ()
    loss: Loss | None = None
    writing: Writing | None = None
    warnings: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps in the order of the document, then what is deleted. Plans are equal where they do
    the same to the same tasks."""

    steps: tuple[Step, ...]
    document: object = field(compare=False)
    prune: bool

    @property
    def does_nothing(self) -> bool:
        return self.count("keep") == len(self.steps)

    def count(self, action: Action) -> int:
        return sum(step.action == action for step in self.steps)
