"""State machines as tables, and the database trigger that refuses whatever is not in one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pgtrigger

Transitions = Mapping[str, frozenset[str]]


def sources_of(transitions: Transitions, target: str) -> list[str]:
    """The states from which `target` may be reached."""
    return sorted(source for source, targets in transitions.items() if target in targets)


def guards(
    name: str,
    transitions: Transitions,
    births: Iterable[str],
    exception_sql: str = "",
    exceptional: Transitions | None = None,
) -> list[pgtrigger.Trigger]:
    """Triggers that refuse a status at birth outside `births` and a change outside `transitions`.

    `exceptional` pairs are let through only where the SQL condition `exception_sql` (over NEW) holds.
    What is in the table is let through by the triggers' conditions: a call of their functions would
    take as long as all else that an UPDATE does to a row.
    """
    born = ", ".join(f"'{status}'" for status in sorted(births))
    change = "OLD.status || '>' || NEW.status"
    unless = "FALSE"
    if exceptional:
        unless = f"{change} IN ({_pairs(exceptional)}) AND {exception_sql}"
    return [
        pgtrigger.Trigger(
            name=f"{name}_birth",
            when=pgtrigger.Before,
            operation=pgtrigger.Insert,
            condition=pgtrigger.Condition(f"NEW.status NOT IN ({born})"),
            func="""
                RAISE EXCEPTION 'a % may not begin as %', TG_TABLE_NAME, NEW.status
                    USING ERRCODE = 'check_violation';
            """,
        ),
        pgtrigger.Trigger(
            name=name,
            when=pgtrigger.Before,
            operation=pgtrigger.UpdateOf("status"),  # type: ignore[no-untyped-call]
            condition=pgtrigger.Condition(
                f"OLD.status <> NEW.status AND {change} NOT IN ({_pairs(transitions)})"
            ),
            func=f"""
                IF {unless} THEN
                    RETURN NEW;
                END IF;
                RAISE EXCEPTION 'a % may not go from % to %', TG_TABLE_NAME, OLD.status, NEW.status
                    USING ERRCODE = 'check_violation';
            """,
        ),
    ]


def _pairs(transitions: Transitions) -> str:
    return ", ".join(
        f"'{source}>{target}'"
        for source, targets in sorted(transitions.items())
        for target in sorted(targets)
    )
