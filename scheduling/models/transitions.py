"""State machines as tables, and the database trigger that refuses whatever is not in one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pgtrigger

Transitions = Mapping[str, frozenset[str]]


def sources_of(transitions: Transitions, target: str) -> list[str]:
    """The states from which `target` may be reached."""
    return sorted(source for source, targets in transitions.items() if target in targets)


def guard(
    name: str,
    transitions: Transitions,
    births: Iterable[str],
    exception_sql: str = "",
    exceptional: Transitions | None = None,
) -> pgtrigger.Trigger:
    """A trigger that refuses a status at birth outside `births` and a change outside `transitions`.

    `exceptional` pairs are let through only where the SQL condition `exception_sql` (over NEW) holds.
    """
    allowed = f"OLD.status || '>' || NEW.status IN ({_pairs(transitions)})"
    if exceptional:
        allowed += (
            f" OR (OLD.status || '>' || NEW.status IN ({_pairs(exceptional)}) AND {exception_sql})"
        )
    born = ", ".join(f"'{status}'" for status in sorted(births))
    return pgtrigger.Trigger(
        name=name,
        when=pgtrigger.Before,
        operation=pgtrigger.Insert | pgtrigger.UpdateOf("status"),  # type: ignore[no-untyped-call]
        func=f"""
            IF TG_OP = 'INSERT' THEN
                IF NEW.status NOT IN ({born}) THEN
                    RAISE EXCEPTION 'a % may not begin as %', TG_TABLE_NAME, NEW.status
                        USING ERRCODE = 'check_violation';
                END IF;
            ELSIF OLD.status <> NEW.status AND NOT ({allowed}) THEN
                RAISE EXCEPTION 'a % may not go from % to %', TG_TABLE_NAME, OLD.status, NEW.status
                    USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        """,
    )


def _pairs(transitions: Transitions) -> str:
    return ", ".join(
        f"'{source}>{target}'"
        for source, targets in sorted(transitions.items())
        for target in sorted(targets)
    )
