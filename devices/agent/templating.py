"""Names replaced by values in a text: `${name}`, and nothing else. There are no expressions.

`$${` stands for a `${` that stays. Only `${…}` means something, so `$HOME` and `$1` stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

MOST_BYTES = 1024 * 1024
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
FACTS = "facts."
_PLACE = re.compile(r"\$\$\{|\$\{([^}]*)\}?")


class BadTemplate(ValueError):
    """The text cannot be rendered; the message names the line."""


def render(text: str, variables: Mapping[str, str], facts: Mapping[str, object]) -> str:
    """`text` with its names replaced. `${facts.os}` is a fact of the device. Raises BadTemplate for
    a name nobody declared."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "${"
        line = text.count("\n", 0, match.start()) + 1
        if not match[0].endswith("}"):
            raise BadTemplate(f"line {line}: ${{ without a }}; $${{ stands for a plain ${{")
        if name in variables:
            return variables[name]
        fact = facts.get(name.removeprefix(FACTS)) if name.startswith(FACTS) else None
        if isinstance(fact, str | int | float):
            return str(fact)
        raise BadTemplate(
            f"line {line}: there is no variable {name!r}; $${{ stands for a plain ${{"
        )

    return _PLACE.sub(value, text)
