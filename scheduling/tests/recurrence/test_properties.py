"""What holds for every rule, and for everything that is no rule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scheduling import recurrence
from scheduling.recurrence import Rule, RuleError
from scheduling.tests.recurrence.given import EFFORT, enumerated, rule

# The change of a summer, a half-hour one, a day that was skipped, midnights that come twice.
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia",
         "America/St_Johns", "Africa/Casablanca", "Asia/Beirut")  # fmt: skip
every = settings(
    max_examples=150 * EFFORT,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

times = st.times().map(lambda time: f"{time:%H:%M}")
# Without a zone, as Hypothesis wants the limits.
FIRST, LAST = (datetime.fromisoformat(text) for text in ("1985-01-01", "2037-01-01"))
instants = st.datetimes(FIRST, LAST, timezones=st.just(UTC))
spans = st.timedeltas(timedelta(0), timedelta(days=20))


def _field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    ranges = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    steps = st.integers(1, high).map(lambda step: f"*/{step}")
    one = st.one_of(number.map(str), ranges)
    return st.one_of(st.just("*"), steps, st.lists(one, min_size=1, max_size=3).map(",".join))


crons = st.tuples(_field(0, 59), _field(0, 23), _field(1, 28), _field(1, 12), _field(0, 7))
configs: st.SearchStrategy[tuple[str, dict[str, Any]]] = st.one_of(
    st.builds(lambda time, n: ("daily", {"time": time, "every": n}), times, st.integers(1, 9)),
    st.builds(
        lambda time, days, n: ("weekly", {"time": time, "days_of_week": days, "every": n}),
        times,
        st.lists(st.integers(0, 6), min_size=1),
        st.integers(1, 5),
    ),
    st.builds(
        lambda time, day, missing, n: (
            "monthly",
            {"time": time, "day_of_month": day, "missing_day": missing, "every": n},
        ),
        times,
        st.sampled_from([-1, 1, 15, 28, 29, 30, 31]),
        st.sampled_from(["skip", "last"]),
        st.integers(1, 5),
    ),
    st.builds(
        lambda time, nth, day: ("monthly", {"time": time, "nth": nth, "weekday": day}),
        times,
        st.sampled_from([1, 2, 3, 4, -1]),
        st.integers(0, 6),
    ),
    st.builds(lambda n: ("interval", {"every": n, "unit": "minutes"}), st.integers(17, 9_000)),
    crons.map(lambda fields: ("custom", {"cron_expression": " ".join(fields)})),
)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    recurrence_type, config = draw(configs)
    start, end = draw(st.none() | instants), draw(st.none() | instants)
    if start and end and end < start:
        start, end = end, start
    excluded = draw(st.lists(st.dates(FIRST.date(), LAST.date())))
    return rule(
        recurrence_type,
        config,
        draw(st.sampled_from(ZONES)),
        anchor=start or draw(instants),
        start_at=start,
        end_at=end,
        excluded_dates=excluded,
        jitter_key="key",
    )


@every
@given(rules(), instants)
def test_runs_follow_each_other(given: Rule, after: datetime) -> None:
    found = [one.at for one in given.next_runs(after, 20)]
    assert all(earlier < later for earlier, later in zip([after, *found], found, strict=False))


@every
@given(rules(), instants)
def test_the_next_runs_are_the_next_one_over_and_over(given: Rule, after: datetime) -> None:
    for one in given.next_runs(after, 5):
        following = given.next_after(after)
        assert following == one
        after = one.at


@every
@given(rules(), instants, spans)
def test_counting_is_enumerating(given: Rule, after: datetime, span: timedelta) -> None:
    until = min(after + span, after + timedelta(days=1)) if _is_dense(given) else after + span
    assert given.count_between(after, until) == len(enumerated(given, after, until))


@every
@given(rules(), instants, spans)
def test_the_latest_is_the_last_of_those_ahead(
    given: Rule, after: datetime, span: timedelta
) -> None:
    until = min(after + span, after + timedelta(days=1)) if _is_dense(given) else after + span
    found = enumerated(given, after, until)
    latest = given.latest_between(after, until)
    assert (latest.at if latest else None) == (found[-1] if found else None)


@every
@given(rules(), instants)
def test_between_a_run_and_the_next_there_is_none(given: Rule, after: datetime) -> None:
    following = given.next_after(after)
    if following is not None:
        assert given.count_between(after, following.at) == 1
        latest = given.latest_between(after, following.at)
        assert latest == following


@every
@given(rules(), instants)
def test_bounds_and_excluded_dates_hold(given: Rule, after: datetime) -> None:
    for one in given.next_runs(after, 10):
        at = recurrence.instants.micros(one.at)
        assert given.bounds.start is None or at >= given.bounds.start
        assert given.bounds.end is None or at <= given.bounds.end
        assert given.bounds.hole_around(at) is None


@every
@given(rules())
def test_what_is_stored_is_the_same_rule(given: Rule) -> None:
    again = rule(given.recurrence_type, given.config, given.zone.key, anchor=given.anchor)
    assert again.config == given.config
    assert again.sentence() == given.sentence()


def _is_dense(given: Rule) -> bool:
    gap = given.series.shortest_gap(0)
    return gap is not None and gap < recurrence.instants.SECOND * 7_200


# Whatever comes out of JSON

json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
KEYS = ("time", "every", "unit", "run_at", "day_of_month", "nth", "weekday", "days_of_week",
        "missing_day", "cron_expression")  # fmt: skip
plausible = st.one_of(
    json,
    times,
    st.integers(-2, 40),
    st.sampled_from(["days", "seconds", "last", "2027-01-31T02:00", "0 0 29 2 *", "9" * 5_000]),
    st.text(alphabet="0123456789*,-/#L ", max_size=15),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()),
)
TYPES = ("once", "interval", "daily", "weekly", "monthly", "custom")


@settings(every, max_examples=600 * EFFORT)
@given(
    st.sampled_from(TYPES) | json,
    st.dictionaries(st.sampled_from(KEYS), plausible, max_size=4) | json,
    st.sampled_from(ZONES) | json,
    st.none() | st.datetimes(timezones=st.timezones()) | json,
    st.lists(st.dates() | st.dates().map(str), max_size=3) | json,
    st.integers(0, 10_000) | json,
    st.datetimes(timezones=st.just(UTC)),
)
def test_anything_is_a_rule_or_a_rule_error(
    recurrence_type: Any, config: Any, zone: Any, bound: Any, dates: Any, jitter: Any, now: datetime
) -> None:
    try:
        found = recurrence.parse(
            recurrence_type, config, zone,
            anchor=now, start_at=bound, excluded_dates=dates, jitter_seconds=jitter, now=now,
        )  # fmt: skip
    except RuleError as refusal:
        _assert_says_something(refusal)
        return
    found.next_runs(now, 3)
    found.latest_between(now, now)
    found.count_between(now, now)
    assert found.sentence()
    found.warnings(now)
    found.crontab()


@settings(every, max_examples=300 * EFFORT)
@given(st.sampled_from(TYPES), st.dictionaries(st.sampled_from(KEYS), plausible, max_size=6))
def test_a_config_alone_is_a_rule_or_a_rule_error(recurrence_type: str, config: Any) -> None:
    try:
        found = rule(recurrence_type, config)
    except RuleError as refusal:
        _assert_says_something(refusal, "recurrence_config")
        return
    assert rule(recurrence_type, found.config).config == found.config


def _assert_says_something(refusal: RuleError, *fields: str) -> None:
    assert refusal.errors
    assert not fields or tuple(refusal.errors) == fields
    assert all(messages for messages in refusal.errors.values())
