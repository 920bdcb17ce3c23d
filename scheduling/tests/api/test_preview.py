"""What a rule would do, before there is a task."""

from __future__ import annotations

from rest_framework.test import APIClient

PREVIEW = "/api/schedule/preview"


def test_a_rule_is_put_in_words_and_its_next_runs_are_listed(api: APIClient) -> None:
    answer = api.post(
        PREVIEW,
        {
            "recurrence_type": "daily",
            "recurrence_config": {"time": "02:00"},
            "time_zone": "Europe/Berlin",
            "after": "2027-01-01T01:00:00Z",
            "count": 2,
        },
    )
    assert answer.status_code == 200
    shown = answer.json()
    assert set(shown) == {"text", "runs", "warnings"}
    assert shown["text"]
    assert shown["runs"] == [
        {"at": "2027-01-02T01:00:00Z", "local": "2027-01-02T02:00:00+01:00", "note": None},
        {"at": "2027-01-03T01:00:00Z", "local": "2027-01-03T02:00:00+01:00", "note": None},
    ]


def test_a_run_in_the_hour_that_is_left_out_says_so(api: APIClient) -> None:
    shown = api.post(
        PREVIEW,
        {
            "recurrence_type": "daily",
            "recurrence_config": {"time": "02:30"},
            "time_zone": "Europe/Berlin",
            "after": "2027-03-27T12:00:00Z",
            "count": 1,
        },
    ).json()
    assert shown["runs"][0]["at"] == "2027-03-28T01:00:00Z"
    assert shown["runs"][0]["note"]


def test_ten_runs_are_shown_unless_told_otherwise(api: APIClient) -> None:
    rule = {"recurrence_type": "interval", "recurrence_config": {"every": 1, "unit": "hours"}}
    assert len(api.post(PREVIEW, rule).json()["runs"]) == 10
    assert len(api.post(PREVIEW, rule | {"count": 100}).json()["runs"]) == 100
