"""The benchmarks measure everything they report; how fast it is, is not for tests to say."""

from __future__ import annotations

from benchmarks import bare, floor, recurrence, report
from benchmarks.first_line import FirstLine


def test_the_floor_takes_every_client_through_every_round() -> None:
    found = floor.measure(clients=5, rounds=3)
    assert (found.clients, len(found.rounds), len(found.cpu)) == (5, 3, 3)
    assert all(seconds > 0 for seconds in (*found.rounds, *found.cpu))
    text = report.render(found, None, "0.0")
    assert "5 clients" in text
    assert f"| {min(found.rounds) / 5 * 1e6:.0f} |" in text


def test_the_bare_cost_of_a_run_holds_a_spawn_and_an_exchange() -> None:
    assert bare.measure(rounds=3) > 0


def test_the_report_names_median_and_p95_of_the_first_lines() -> None:
    found = FirstLine(
        started=tuple(number / 1000 for number in range(1, 21)),
        stored=tuple(number / 100 for number in range(1, 21)),
        floor=0.001,
    )
    text = report.render(None, found, "0.0")
    assert "| the command starts on the device | 10 | 19 | 1 | 20 |" in text
    assert "| its first line is stored | 105 | 190 | 10 | 200 |" in text
    assert "**105** times the floor" in text
    assert "The floor\n" not in text


def test_the_hunt_names_the_slowest_rules_and_what_the_libraries_take() -> None:
    found = recurrence.measure(tries=30, rounds=1)
    for worst in (found.next, found.preview):
        assert worst.milliseconds > 0
        worst.case.rule().next_runs(worst.case.after, 1)
    text = recurrence.render(found)
    assert f"| {found.next.milliseconds:.1f} | 50 | `{found.next.case.sentence()}` |" in text
    assert f"{found.preview_ratio.ours / found.preview_ratio.croniter:.1f} |" in text
