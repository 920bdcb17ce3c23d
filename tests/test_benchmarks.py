"""The benchmarks measure everything they report; how fast it is, is not for tests to say."""

from __future__ import annotations

from benchmarks import bare, beat, floor, output, recurrence, report, transfer, web
from benchmarks.first_line import FirstLine

SECONDS = {"floor": 1.0, "checked": 1.5, "nginx": 1.25, "web": 2.0}


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


def test_the_report_of_the_beats_counts_what_never_came_as_the_latest() -> None:
    all_there, half = (0.5,) * beat.BURST, (30.0,) * (beat.BURST // 2)
    found = [
        beat.Measured(50_000, "ours", 0.1, 0.001, 0.005, 100 * 2**20, all_there, all_there),
        beat.Measured(50_000, "stock", 4.0, 0.07, 5.0, 400 * 2**20, all_there, half),
    ]
    text = beat.render(found, "0.0")
    assert "| 50,000 | ours | 100 ms | 1.0 ms | 5 ms | 100 MiB | 0.50 s · 0.50 s |" in text
    assert "| 30.00 s · over 400 s | 500 |" in text
    assert "**40** times and sees a change **1000** times" in text


def test_the_report_of_the_flood_names_its_ratios() -> None:
    seen = output.Seen((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    flood = output.Flood(
        size=output.MIB,
        alone={"null": 1.0, "file": 2.0, "pipe": 4.0},
        by_agent=5.0,
        delivered=9.0,
        memory_before=output.MIB,
        memory_peak=3 * output.MIB,
        memory_after=2 * output.MIB,
        quiet=(0.1, 0.2),
        meanwhile=(0.3, 0.3),
        written_ahead=7 * output.MIB,
        output={"dropped_bytes": output.MIB, "gaps": [{}, {}]},
        stored=output.MIB,
    )
    text = output.render(output.Output(seen, flood), "0.0")
    assert "| `?wait=`, as pages do | 0.20 · 0.30 · 0.30 s |" in text
    assert "5.00 s, **1.25** times the pipe" in text
    assert "1 · 3 · 2 MiB" in text
    assert "**2.00** times the median" in text


def test_the_report_of_the_pages_compares_both_lengths_and_the_bare_view() -> None:
    names = (web.TASK_LIST, web.EXECUTION, web.API_LIST, web.BARE)
    found = [
        web.Page(name, runs, 2048, (0.001 * (place + length),), (0.01, 0.02, 0.03), 50.0)
        for length, runs in enumerate((100_000, 1_000_000))
        for place, name in enumerate(reversed(names), start=1)
    ]
    text = web.render(found, "0.5")
    assert "| task list | 1,000,000 | 2 | 5.0 · 5.0 ms | 20.0 · 30.0 ms | 50.0 |" in text
    assert "at most **1.50** times what it takes over 100,000\n(API: tasks)" in text
    assert "The task list costs as much as **2**\nbare views" in text


def test_the_report_of_the_transfer_names_its_ratios() -> None:
    passes = {name: [transfer.Pass(seconds, 1.0)] for name, seconds in SECONDS.items()}
    memory = {name: transfer.Memory(transfer.MIB, 3 * transfer.MIB) for name in ("nginx", "web")}
    found = transfer.Transfer(10 * transfer.MIB, 4, passes, memory, 10 * transfer.MIB, 0)
    text = transfer.render(found, "0.0")
    assert "| plain nginx, curl | 1.00 s | 40 | 1.00 | 1.00 s |" in text
    assert "it is **0.80** times the floor's throughput" in text
    assert "| the web process alone, agents | 2.00 s | 20 | 0.50 | 1.00 s |" in text
    assert "is 1 · 3 MiB where nginx sends" in text
    assert "10 MiB were sent for a first deployment, and 0 bytes for the same one again" in text
