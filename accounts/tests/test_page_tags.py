"""Moments on a page: the zone is named, and the exact time is beside what is said in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.utils import timezone

from accounts.templatetags.pages import ago, local, when

SUMMER = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)


def test_when_names_the_zone() -> None:
    machine = '<time datetime="2026-07-01T22:30:00Z">'
    assert when(SUMMER) == f"{machine}Wed 1 Jul 2026, 22:30 UTC</time>"
    assert when(SUMMER, "Europe/Berlin") == f"{machine}Thu 2 Jul 2026, 00:30 Europe/Berlin</time>"
    assert when(None) == "–"


def test_a_zone_that_is_gone_is_utc_and_says_so() -> None:
    assert "Wed 1 Jul 2026, 22:30 UTC<" in when(SUMMER, "Mars/Olympus")


def test_local_leaves_out_the_zone_that_stands_beside() -> None:
    told = '<time datetime="2026-07-01T22:30:00Z">Thu 2 Jul 2026, 07:30</time>'
    assert local(SUMMER, "Asia/Tokyo") == told


def test_ago_has_the_exact_time_and_its_zone_in_the_title() -> None:
    moment = (timezone.now() - timedelta(hours=3, minutes=5)).astimezone(UTC)
    told = ago(moment, "UTC")
    assert f'title="{moment:%a} {moment.day} {moment:%b %Y, %H:%M} UTC"' in told
    assert f'datetime="{moment:%Y-%m-%dT%H:%M:%SZ}"' in told
    assert ">3\xa0hours ago</time>" in told
    ahead = ago(SUMMER + timedelta(days=365 * 100), "Asia/Tokyo")
    assert 'title="Sat 8 Jun 2126, 07:30 Asia/Tokyo"' in ahead
    assert ">in " in ahead
    assert ago(None) == "–"
