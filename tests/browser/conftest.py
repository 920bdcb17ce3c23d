"""A real web process on the test database, and a real browser that watches its own console."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)
from redis import Redis

from devices.models import Device, DeviceGroup
from scheduling import hints
from scheduling.tests import factories
from tests.running import CHECKOUT, free_port, until

DEBIAN = ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium"]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SETTINGS = "tests.browser.settings"
POLICY_WATCH = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.effectiveDirective} refused ${event.blockedURI || event.sample}`));
"""
# What a page shows it was told of: it does not ask by itself, as it does once a minute.
ASKS_NOTHING = """{
  const every = window.setInterval;
  window.setInterval = (work, pause, ...more) =>
    pause >= 60_000 ? 0 : every(work, pause, ...more);
}"""
# For what a page finds out by its own question once a minute.
ASKS_SOON = """{
  const every = window.setInterval;
  window.setInterval = (work, pause, ...more) => every(work, Math.min(pause, 1_000), ...more);
}"""
# Once its socket is open, a page asks for what has changed since it was made.
CATCHES_UP = """{
  const shown = new Set();
  addEventListener("live:shown", ({ target }) => {
    shown.add(target.id);
    const isWhole = [...document.querySelectorAll("[data-live]")].every(({ id }) => shown.has(id));
    if (isWhole) document.documentElement.dataset.caughtUp = "";
  });
}"""
# The machine may have much else to do.
PATIENCE = 45_000
AT_ONCE = 20_000
"""Milliseconds within which a page shows output that it was told of; by itself it asks after 25 s."""
expect.set_options(timeout=PATIENCE)
# A newer question takes an older one's place: htmx says so, as if it were an error.
REPLACED = ("htmx:sendAbort", "htmx:afterRequest")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folder = Path(__file__).parent
    for item in items:
        if folder in item.path.parents:
            item.add_marker(pytest.mark.browser)


@dataclass
class Visitor:
    """Somebody at a browser. `complaints` is what the browser's console says is wrong."""

    page: Page
    address: str
    complaints: list[str] = field(default_factory=list)

    def opens(self, path: str) -> Page:
        self.page.goto(self.address + path)
        return self.page

    def signs_in(self, name: str) -> None:
        """By a cookie: the form has tests of its own. The next page opened is theirs."""
        client = Client()
        client.force_login(User.objects.get(username=name))
        value = client.cookies[settings.SESSION_COOKIE_NAME].value
        self.page.context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": value, "url": self.address}]
        )

    def waits_for_line(self) -> None:
        """Until the page's socket is open and it has caught up: from then on it changes when it
        hears of a change, and hears of each."""
        self.page.locator("html[data-line=open][data-caught-up]").wait_for(state="attached")

    def unfolds_everything(self) -> None:
        self.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")

    def watches(self, request: Request) -> None:
        """Our pages work on a network without a way out."""
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.complaints.append(f"asked another host: {request.url}")

    def hears(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(REPLACED):
            self.complaints.append(message.text)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=_chromium(), headless=True, args=FLAGS, timeout=PATIENCE
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session", autouse=True)
def _work_beside_playwright() -> Iterator[None]:
    """Playwright's loop lives on the test's own thread and runs between its calls alone, but it is
    there: Django would refuse queries, and channels a message to open pages."""
    send = hints.send_to_group

    def send_from_elsewhere(group: str, message: dict[str, Any]) -> None:
        other.submit(send, group, message).result(60)

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as other:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        patch.setattr(hints, "send_to_group", send_from_elsewhere)
        yield


@pytest.fixture(scope="session")
def server(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a web process, uvicorn with `deployx.asgi`, as production runs it."""
    folder = tmp_path_factory.mktemp("web")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with django_db_blocker.unblock():
        database = connection.settings_dict["NAME"]
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": SETTINGS,
        "DATABASE_URL": urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database}").geturl(),
        "DEPLOYX_TEST_STATIC_ROOT": str(folder / "static"),
        "DEPLOYX_TEST_FILES_DIR": str(settings.DEPLOYX_FILES_DIR),
        "DEPLOYX_PUBLIC_URL": address,
    }
    _manage(environment, "collectstatic", "--noinput", "--verbosity", "0")
    command = ["uvicorn", "deployx.asgi:application", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "web.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=CHECKOUT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            until(lambda: _answers(process, address), 240, what=f"a web process; see {log.name}")
            yield address
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture(autouse=True)
def _forget_sign_ins() -> None:
    """So many people do not sign in from one address within a minute, but in tests."""
    with Redis.from_url(settings.REDIS_URL) as client:
        for key in client.scan_iter("*:allauth:rl:*"):
            client.delete(key)


@pytest.fixture
def visitor(chromium: Browser, server: str, transactional_db: None) -> Iterator[Visitor]:
    """At an English browser, 1280 px wide; whatever its console complained of fails the test."""
    yield from _visit(chromium, server)


@pytest.fixture
def patient_visitor(chromium: Browser, server: str, transactional_db: None) -> Iterator[Visitor]:
    """At a page that has been open for minutes: each takes a second."""
    yield from _visit(chromium, server, asks=ASKS_SOON)


@pytest.fixture
def plain_visitor(chromium: Browser, server: str, transactional_db: None) -> Iterator[Visitor]:
    """The same without JavaScript."""
    yield from _visit(chromium, server, java_script_enabled=False)


@pytest.fixture
def german_visitor(chromium: Browser, server: str, transactional_db: None) -> Iterator[Visitor]:
    yield from _visit(chromium, server, locale="de")


def _chromium() -> str:
    """The one that is named, else Debian's: without a window's parts if there is that."""
    named = os.environ.get("DEPLOYX_CHROMIUM")
    for path in [named] if named else DEBIAN:
        if Path(path).exists():
            return path
    pytest.fail(
        f"There is no browser at {named or DEBIAN[0]}: apt-get install chromium-headless-shell,"
        " or name one in DEPLOYX_CHROMIUM."
    )


def _visit(
    chromium: Browser, server: str, *, asks: str = ASKS_NOTHING, **options: Any
) -> Iterator[Visitor]:
    options = {"viewport": {"width": 1280, "height": 900}, "locale": "en", **options}
    context = chromium.new_context(**options)
    context.set_default_timeout(PATIENCE)
    context.add_init_script(asks)
    somebody = on_a_page_of(context, server)
    yield somebody
    context.close()
    # What the last page has asked for is answered though nobody reads it; the next test's people
    # shall not meet it.
    until(_all_answered, PATIENCE / 1000, what="an end of what the web process does")
    assert not somebody.complaints


def on_a_page_of(context: BrowserContext, address: str) -> Visitor:
    """Hears whatever the console of a new page says."""
    for script in (POLICY_WATCH, CATCHES_UP):
        context.add_init_script(script)
    somebody = Visitor(context.new_page(), address)
    somebody.page.on("request", somebody.watches)
    somebody.page.on("console", somebody.hears)
    somebody.page.on("pageerror", lambda error: somebody.complaints.append(str(error)))
    return somebody


@pytest.fixture
def operator(transactional_db: None) -> User:
    return factories.person("operator")


@pytest.fixture
def admin(transactional_db: None) -> User:
    return factories.person("admin", is_administrator=True)


@pytest.fixture
def web_device(transactional_db: None) -> Device:
    return factories.device("web-1")


@pytest.fixture
def web_group(operator: User, web_device: Device) -> DeviceGroup:
    return factories.group("web", devices=[web_device], people=[operator])


def _all_answered() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND state <> 'idle'"
        )
        return cursor.fetchone() == (0,)


def _answers(process: subprocess.Popen[bytes], address: str) -> bool:
    assert process.poll() is None, "the web process ended"
    try:
        return httpx.get(f"{address}/healthz").status_code == 200
    except httpx.TransportError:
        return False


def _manage(environment: dict[str, str], *argv: str) -> None:
    command = [sys.executable, "manage.py", *argv]
    subprocess.run(command, cwd=CHECKOUT, env=environment, check=True, timeout=120)
