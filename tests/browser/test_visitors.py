"""A browser test fails for whatever its browser complains of: here each complaint is provoked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User

from tests.browser.conftest import Visitor
from tests.running import until

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
    visitor.page.close()  # from now on it complains of nothing more
    visitor.complaints.clear()


def hears(visitor: Visitor, words: str) -> None:
    def is_said() -> bool:
        visitor.page.evaluate("new Promise(requestAnimationFrame)")
        return any(words in one for one in visitor.complaints)

    until(is_said, what=words)


def test_an_inline_script_is_refused_and_heard_of(watched: Visitor) -> None:
    watched.page.evaluate(INLINE)
    hears(watched, "policy: script-src-elem refused inline")


def test_an_inline_style_is_refused_and_heard_of(watched: Visitor) -> None:
    watched.page.evaluate("document.body.setAttribute('style', 'color: red')")
    hears(watched, "policy: style-src-attr refused inline")


def test_a_request_to_another_host_is_heard_of(watched: Visitor) -> None:
    watched.page.evaluate("fetch('http://elsewhere.invalid/').catch(() => null)")
    hears(watched, "policy: connect-src refused http://elsewhere.invalid/")


def test_a_page_of_another_host_is_heard_of(watched: Visitor) -> None:
    watched.page.goto("data:text/html,<p>")
    watched.page.evaluate("fetch('http://127.0.0.1:9/').catch(() => null)")
    hears(watched, "asked another host: http://127.0.0.1:9/")


def test_an_error_on_the_page_is_heard_of(watched: Visitor) -> None:
    watched.page.evaluate("queueMicrotask(() => { throw new Error('broken'); })")
    watched.page.evaluate("console.warn('careful')")
    hears(watched, "broken")
    hears(watched, "careful")


def test_what_is_not_there_is_heard_of(watched: Visitor) -> None:
    watched.page.evaluate("fetch('/static/js/nothing.js')")
    hears(watched, "404")
