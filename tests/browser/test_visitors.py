"""A browser test fails for whatever its browser complains of: here each complaint is provoked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User

from tests.browser.conftest import Visitor

INLINE = """() => {
  const script = document.createElement("script");
  script.textContent = "1 + 1";
  document.body.append(script);
}"""


@pytest.fixture
def watched(visitor: Visitor, operator: User) -> Iterator[Visitor]:
    """Signed in; what it complained of does not fail the test this once."""
    visitor.signs_in("operator")
    visitor.opens("/")
    assert visitor.complaints == []
    yield visitor
    visitor.complaints.clear()


def said(visitor: Visitor) -> str:
    visitor.page.evaluate("new Promise(requestAnimationFrame)")
    return "\n".join(visitor.complaints)


def test_an_inline_script_is_refused_and_heard_of(watched: Visitor) -> None:
    watched.page.evaluate(INLINE)
    assert "policy: script-src-elem refused inline" in said(watched)


def test_an_inline_style_is_refused_and_heard_of(watched: Visitor) -> None:
    watched.page.evaluate("document.body.setAttribute('style', 'color: red')")
    assert "policy: style-src-attr refused inline" in said(watched)


def test_a_request_to_another_host_is_heard_of(watched: Visitor) -> None:
    watched.page.evaluate("fetch('http://elsewhere.invalid/').catch(() => null)")
    assert "policy: connect-src refused http://elsewhere.invalid/" in said(watched)


def test_a_page_of_another_host_is_heard_of(watched: Visitor) -> None:
    watched.page.goto("data:text/html,<p>")
    watched.page.evaluate("fetch('http://127.0.0.1:9/').catch(() => null)")
    assert "asked another host: http://127.0.0.1:9/" in said(watched)


def test_an_error_on_the_page_is_heard_of(watched: Visitor) -> None:
    watched.page.evaluate("queueMicrotask(() => { throw new Error('broken'); })")
    watched.page.evaluate("console.warn('careful')")
    assert "broken" in said(watched)
    assert "careful" in said(watched)


def test_what_is_not_there_is_heard_of(watched: Visitor) -> None:
    watched.page.evaluate("fetch('/static/js/nothing.js')")
    assert "404" in said(watched)
