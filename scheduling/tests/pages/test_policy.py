"""The pages keep to the policy they are served with: nothing inline, nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

TEMPLATES = sorted((Path(settings.BASE_DIR) / "templates").rglob("*.html"))
FORBIDDEN = re.compile(
    r"""\sstyle=|<style|<script(?![^>]*\ssrc=)|\son[a-z]+=["']|javascript:|(?:src|href)=["']https?://""",
    re.IGNORECASE,
)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(path.parents[1])))
def test_no_template_has_anything_inline_or_from_elsewhere(path: Path) -> None:
    assert FORBIDDEN.findall(path.read_text()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        '<p style="color: red">',
        "<style>p {}</style>",
        "<script>alert(1)</script>",
        '<a onclick="go()">',
        '<img src="https://cdn.example/x.png">',
    ],
)
def test_what_is_forbidden_would_be_found(wrong: str) -> None:
    assert FORBIDDEN.search(wrong)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path", ["/tasks/", "/nowhere", "/accounts/login/", "/api/", "/admin/login/"]
)
def test_every_answer_carries_the_policy(as_operator: Client, path: str) -> None:
    policy = as_operator.get(path)["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
