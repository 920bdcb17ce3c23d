"""How an execution is rolled out and retried: the JSON of `rollout` and `retry`, parsed in one place."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from typing import Any, Self

from django.utils.translation import gettext as _

TRANSACTIONAL = "transactional"
STRATEGIES = ("parallel", "rolling", "canary", "blue_green", TRANSACTIONAL)
_PERCENT = re.compile(r"(100|[1-9]?[0-9])%")


class OptionsError(ValueError):
    """Options that are not understood; `messages` names each and what is accepted."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__("; ".join(messages))
        self.messages = messages


@dataclass(frozen=True, slots=True)
class Rollout:
    """`batch_size`, `canary_size` and `abort_after_failures` are counts or percentages ("10%")."""

    strategy: str = "parallel"
    max_concurrent: int = 100
    batch_size: int | str = "10%"
    canary_size: int | str = "5%"
    soak_seconds: int = 0
    abort_after_failures: int | str | None = None
    success_threshold_percent: int = 100

    @classmethod
    def parse(cls, value: object) -> Self:
        """Raises OptionsError naming every wrong key."""
        given, messages = _known_keys(cls, value)
        if given.get("strategy", "parallel") not in STRATEGIES:
            messages.append(_("strategy must be one of %s.") % ", ".join(STRATEGIES))
        _check_int(given, "max_concurrent", 1, 50_000, messages)
        _check_int(given, "soak_seconds", 0, 86_400, messages)
        _check_int(given, "success_threshold_percent", 0, 100, messages)
        _check_amount(given, "batch_size", messages)
        _check_amount(given, "canary_size", messages)
        if given.get("abort_after_failures") is not None:
            _check_amount(given, "abort_after_failures", messages)
        if messages:
            raise OptionsError(messages)
        return cls(**given)

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        return cls().to_json()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Retry:
    """Attempts inside one execution; an empty `on_exit_codes` retries whatever the code was."""

    max_attempts: int = 1
    backoff_seconds: int = 30
    backoff_multiplier: float = 2.0
    on_exit_codes: tuple[int, ...] = ()

    @classmethod
    def parse(cls, value: object) -> Self:
        """Raises OptionsError naming every wrong key."""
        given, messages = _known_keys(cls, value)
        _check_int(given, "max_attempts", 1, 20, messages)
        _check_int(given, "backoff_seconds", 0, 86_400, messages)
        multiplier = given.get("backoff_multiplier", 2.0)
        if not _is_number(multiplier) or not 1 <= multiplier <= 10:
            messages.append(_("backoff_multiplier must be a number from 1 to 10."))
        codes = given.get("on_exit_codes", [])
        if not isinstance(codes, list | tuple) or not all(_is_int(code) for code in codes):
            messages.append(_("on_exit_codes must be a list of whole numbers."))
        if messages:
            raise OptionsError(messages)
        given["on_exit_codes"] = tuple(codes)
        return cls(**given)

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        return cls().to_json()

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "on_exit_codes": list(self.on_exit_codes)}

    def delay_seconds(self, attempt: int) -> float:
        """Pause before attempt number `attempt` (2, 3, ...), at most a day."""
        return min(86_400.0, self.backoff_seconds * self.backoff_multiplier ** (attempt - 2))


def amount_of(value: int | str, total: int) -> int:
    """A count, or a percentage of `total` rounded up; at least 1."""
    if isinstance(value, str):
        value = math.ceil(int(value.removesuffix("%")) * total / 100)
    return max(1, value)


def _known_keys(
    cls: type[Rollout] | type[Retry], value: object
) -> tuple[dict[str, Any], list[str]]:
    if not isinstance(value, dict):
        raise OptionsError([_("must be an object.")])
    known = cls.__dataclass_fields__.keys()
    unknown = [str(key) for key in value if key not in known]
    messages = [
        _("%(key)s is not known; accepted are %(known)s.") % {"key": key, "known": ", ".join(known)}
        for key in unknown
    ]
    return {key: item for key, item in value.items() if key in known}, messages


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_int(given: dict[str, Any], key: str, low: int, high: int, messages: list[str]) -> None:
    if key in given and not (_is_int(given[key]) and low <= given[key] <= high):
        messages.append(
            _("%(key)s must be a whole number from %(low)s to %(high)s.")
            % {"key": key, "low": low, "high": high}
        )


def _check_amount(given: dict[str, Any], key: str, messages: list[str]) -> None:
    value = given.get(key, 1)
    is_count = _is_int(value) and 1 <= value <= 50_000
    is_percent = isinstance(value, str) and _PERCENT.fullmatch(value) and value != "0%"
    if not is_count and not is_percent:
        messages.append(_('%s must be a count from 1 or a percentage such as "10%%".') % key)
