"""Versions of software in their order, which for packages is dpkg's own."""

from __future__ import annotations

import itertools
import subprocess

import pytest

from devices.agent.versions import compare

DEBIAN = (
    "1.0~rc1-1", "1.0", "1.0-0", "1.0-1", "1.0-1ubuntu2", "1.0+b1", "1.0a", "1.0.1", "1.1-1~bpo12+1",
    "1.1-1", "1.9", "1.10", "1:0.5", "1:1.0-1", "2.39.2-1.1", "20240203", "007",
)  # fmt: skip


def test_packages_are_ordered_as_dpkg_orders_them() -> None:
    for one, other in itertools.combinations(DEBIAN, 2):
        if (":" in one) != (":" in other):
            continue
        found = compare(one, other, "deb")
        assert found is not None
        for word, holds in (("lt", found < 0), ("eq", found == 0), ("gt", found > 0)):
            asked = subprocess.run(["dpkg", "--compare-versions", one, word, other], check=False)
            assert (asked.returncode == 0) is holds, (one, word, other)


@pytest.mark.parametrize(
    ("form", "older", "newer"),
    [
        ("sh", "1.24", "1.100"),
        ("sh", "2.0.0-rc.1", "2.0.0"),
        ("sh", "2.0beta2", "2.0"),
        ("sh", "1.1.1", "1.1.1a"),
        ("sh", "v1.9", "1.10"),
        ("winget", "128.0.2", "128.0.10"),
        ("deb", "2:9.0.1-1", "9.1"),
        ("deb", "9.1", "2:9.2-1"),
        ("rpm", "1.0-1.el9", "1.0-2.el9"),
        ("rpm", "1.0", "1.0-1.el9"),
    ],
)
def test_one_is_older(form: str, older: str, newer: str) -> None:
    assert (compare(older, newer, form), compare(newer, older, form)) == (-1, 1)


@pytest.mark.parametrize(
    ("form", "one", "other"),
    [("sh", "1.24", "1.24.0"), ("sh", "v2.0", "2"), ("deb", "2:8.1", "8.1"), ("sh", "?", "?")],
)
def test_they_are_the_same(form: str, one: str, other: str) -> None:
    assert compare(one, other, form) == 0


@pytest.mark.parametrize("other", ["any", "?", "", "Tool 1.0", "²"])
def test_what_is_no_version_is_neither_older_nor_newer(other: str) -> None:
    assert compare("1.0", other, "sh") is None
    assert compare(other, "1.0", "deb") is None
