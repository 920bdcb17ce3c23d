"""What stays of a page that changes: `static/js/morph.js` alone, and where a note goes from above."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, Page, expect

from devices import groups, keys
from devices.models import DeviceGroup
from scheduling import ledger
from scheduling.tests import factories
from tests.browser.conftest import Visitor
from tests.running import CHECKOUT

MORPHS = """([old, wanted]) => {
  const [from, to] = [old, wanted].map((content) => {
    const made = document.createElement("div");
    made.innerHTML = content;
    return made;
  });
  document.body.replaceChildren(from);
  const those = (root) => [...root.querySelectorAll("[title]")];
  const before = new Map(those(from).map((one) => [one, one.title]));
  const watch = new MutationObserver(() => {});
  watch.observe(from, { childList: true, subtree: true });
  window.morph(from, to);
  const put = new Set(watch.takeRecords().flatMap(({ addedNodes }) => [...addedNodes]));
  const stayed = those(from).filter((one) => before.get(one) === one.title && !put.has(one));
  return [from.innerHTML, stayed.map((one) => one.title).join(" ")];
}"""
HEAD = '<header title="head"></header>'
NOTE = '<p class="note"></p>'
FORM = '<form action="/a" title="a"></form>'
OTHER = '<form action="/b" title="b"></form>'
HOST = "<dt>Host</dt><dd>web-1</dd>"
AGENT = '<dt>Agent</dt><dd title="agent"><b>1.0</b></dd>'
LINES = '<ul title="list"><li></li></ul>'


@pytest.fixture(scope="module")
def bare(chromium: Browser) -> Iterator[Page]:
    """A page with nothing on it but morph, as `window.morph`."""
    page = chromium.new_page()
    script = (CHECKOUT / "static/js/morph.js").read_text()
    page.add_script_tag(content=f"{script}\nwindow.morph = morph;", type="module")
    page.wait_for_function("'morph' in window")
    yield page
    page.close()


@pytest.mark.parametrize(
    ("old", "wanted", "stays"),
    [
        ([HEAD, NOTE, FORM], [HEAD, FORM], "head a"),
        ([HEAD, FORM], [HEAD, NOTE, FORM], "head a"),
        ([HEAD, NOTE, NOTE, FORM, NOTE], [HEAD, FORM, NOTE], "head a"),
        ([HEAD, NOTE, FORM], [HEAD, LINES, FORM], "head a"),
        ([NOTE, FORM, LINES], [LINES, FORM, NOTE], "a"),
        ([FORM, OTHER], [OTHER], "b"),
        ([OTHER], [FORM, OTHER], "b"),
        ([AGENT], [HOST, AGENT], "agent"),
        ([HOST, AGENT], [AGENT], "agent"),
        (['<p id="x" title="x"></p>', HEAD], [HEAD], "head"),
        ([HEAD, '<p id="x" title="x"></p>'], ['<p id="x" title="x"></p>', HEAD], "x"),
        (['<p id="x" title="x"></p>', HEAD], ['<ul id="x"></ul>', HEAD], "head"),
        ([], [HEAD], ""),
        ([HEAD], [], ""),
    ],
)
def test_what_there_was_stays_where_it_was(
    bare: Page, old: list[str], wanted: list[str], stays: str
) -> None:
    apart = "\n  "
    content = apart.join(wanted)
    answer: list[Any] = bare.evaluate(MORPHS, [apart.join(old), content])
    assert answer == [content, stays]


@pytest.mark.thorough
def test_a_note_that_goes_leaves_what_is_below_it_as_it_was(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    keys.ensure_key()
    execution = factories.execution(factories.task(operator, groups=[web_group]))
    run = factories.run(execution, web_group.devices.get(), status="running")
    factories.write_output(run, b"".join(b"line %d\n" % number for number in range(500)))
    device = factories.device("web-2")
    queued = factories.run(execution, device, status="queued")
    visitor.signs_in("operator")
    page = visitor.opens(f"{execution.get_absolute_url()}?search=w&run={run.pk}")
    visitor.waits_for_line()
    output, search = page.get_by_role("log"), page.get_by_label("Search by device")
    expect(page.locator("#holdups")).to_be_visible()
    page.get_by_text("What it runs").click()
    output.evaluate("view => { view.scrollTop = 100; }")
    search.fill("web-2")
    session = factories.session_of(device)
    ledger.claim([session])
    ledger.start([(session, queued.pk)])
    expect(page.locator("#holdups")).to_have_count(0)
    expect(page.get_by_role("link", name="2 Running")).to_be_visible()
    expect(search).to_have_value("web-2")
    expect(search).to_be_focused()
    expect(page.locator("#payload dl")).to_be_visible()
    assert output.evaluate("view => view.scrollTop") == 100


def test_who_goes_from_a_list_takes_no_tick_and_no_focus_of_others_along(
    visitor: Visitor, admin: User, operator: User, web_group: DeviceGroup
) -> None:
    first, second = factories.device("app-1"), factories.device("app-2")
    web_group.people.set([factories.person("anna"), operator])
    visitor.signs_in("admin")
    page = visitor.opens(web_group.get_absolute_url())
    visitor.waits_for_line()
    page.get_by_label("app-2").check()
    button = page.get_by_role("button", name="Take it away: operator")
    button.focus()
    groups.add_devices(web_group, admin, [first.pk])
    expect(page.get_by_role("link", name="app-1")).to_be_visible()
    expect(page.get_by_label("app-2")).to_be_checked()
    groups.update(web_group, admin, {"people": [operator.pk]}, partial=True)
    expect(page.get_by_role("button", name="Take it away: anna")).to_have_count(0)
    expect(button).to_be_focused()
    assert page.get_by_label("app-2").get_attribute("value") == str(second.pk)


@pytest.mark.thorough
def test_a_group_that_gets_its_first_person_keeps_what_is_typed_beside(
    visitor: Visitor, admin: User, web_group: DeviceGroup
) -> None:
    web_group.people.clear()
    visitor.signs_in("admin")
    page = visitor.opens(web_group.get_absolute_url())
    visitor.waits_for_line()
    typed = page.get_by_label("Name of a person")
    typed.fill("some")
    groups.update(web_group, admin, {"people": [admin.pk]}, partial=True)
    expect(page.get_by_role("button", name="Take it away: admin")).to_be_visible()
    expect(typed).to_have_value("some")
    expect(typed).to_be_focused()
