from __future__ import annotations

import pytest

from scheduling.options import OptionsError, Retry, Rollout, amount_of

AMOUNTS = [(3, 10, 3), ("10%", 10, 1), ("10%", 11, 2), ("1%", 10, 1), ("100%", 7, 7), (50, 10, 50)]


@pytest.mark.parametrize(("value", "total", "expected"), AMOUNTS)
def test_percentages_are_rounded_up(value: int | str, total: int, expected: int) -> None:
    assert amount_of(value, total) == expected


def test_the_pause_before_each_attempt_grows_up_to_a_day() -> None:
    retry = Retry.parse({"backoff_seconds": 30, "backoff_multiplier": 2})
    assert [retry.delay_seconds(attempt) for attempt in (2, 3, 4)] == [30, 60, 120]
    assert Retry.parse({"backoff_seconds": 86_400}).delay_seconds(20) == 86_400


def test_options_read_back_what_they_wrote() -> None:
    rollout = Rollout.parse({"strategy": "rolling", "batch_size": "5%"})
    retry = Retry.parse({"max_attempts": 3, "on_exit_codes": [75]})
    assert Rollout.parse(rollout.to_json()) == rollout
    assert Retry.parse(retry.to_json()) == retry


def test_every_wrong_option_is_named() -> None:
    wrong = {"strategy": "x", "max_concurrent": 0, "batch_size": "0%", "canary_size": True, "a": 1}
    with pytest.raises(OptionsError) as refusal:
        Rollout.parse(wrong)
    assert len(refusal.value.messages) == len(wrong)
    for name in wrong:
        assert any(message.startswith(name) for message in refusal.value.messages)
