"""The API as a whole: its description, its documentation, its pages for browsers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.generators import SchemaGenerator
from rest_framework.viewsets import ViewSetMixin

from devices.models import DeviceGroup
from scheduling.tests import factories

HTML = {"Accept": "text/html"}
INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", re.IGNORECASE)


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    generator: Any = SchemaGenerator
    described: dict[str, Any] = generator().get_schema(request=None, public=True)
    return described


@pytest.fixture
def browser(db: None) -> Client:
    client = Client()
    client.force_login(factories.person("operator"))
    return client


def test_the_description_is_valid_and_without_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "schema.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(path))
    assert path.read_text().startswith("openapi: 3.1")


def routes(patterns: Any, prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for one in patterns:
        path = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            found += routes(one.url_patterns, path)
        elif isinstance(one, URLPattern):
            found.append((path, one.callback))
    return found


def test_every_door_is_described_with_every_method(described: dict[str, Any]) -> None:
    doors = {
        "/" + re.sub(r"<uuid:(\w+)>", r"{id}", path): set(view.actions) - {"head"}
        for path, view in routes(get_resolver().url_patterns)
        if issubclass(getattr(view, "cls", object), ViewSetMixin)
    }
    assert len(doors) > 20
    for path, methods in doors.items():
        assert set(described["paths"][path]) == methods, path


def test_every_operation_says_how_it_refuses(described: dict[str, Any]) -> None:
    operation = described["paths"]["/api/schedule/tasks/{id}"]["put"]
    wanted = {"200", "400", "401", "403", "404", "409", "412", "413", "415", "429"}
    assert set(operation["responses"]) == wanted
    assert {"bearer": []} in operation["security"]


def test_every_operation_says_which_scopes_it_needs(described: dict[str, Any]) -> None:
    paths = described["paths"]
    create = paths["/api/schedule/executions"]["post"]["description"]
    assert create.endswith("Scopes: `tasks:write`, `tasks:run`.")
    assert paths["/api/tokens"]["get"]["description"].endswith("Scopes: `admin`.")


@pytest.mark.parametrize(
    "path",
    [
        "/api/schedule/tasks",
        "/api/schedule/tasks/{id}/execute",
        "/api/schedule/executions",
        "/api/schedule/executions/{id}/retry",
        "/api/files",
        "/api/files/uploads",
    ],
)
def test_what_takes_an_idempotency_key_says_so(described: dict[str, Any], path: str) -> None:
    names = [one["name"] for one in described["paths"][path]["post"]["parameters"]]
    assert "Idempotency-Key" in names


def test_payloads_are_described_by_their_kinds(described: dict[str, Any]) -> None:
    fields = described["components"]["schemas"]["TaskInputRequest"]["properties"]
    assert "rollback_command" in fields["command_payload"]["properties"]


def test_the_schema_is_served_to_anybody(client: Client) -> None:
    answer = client.get("/api/schema", headers={"Accept": "application/vnd.oai.openapi+json"})
    assert answer.status_code == 200
    assert answer.json()["openapi"].startswith("3.1")


def test_the_documentation_has_no_inline_code_and_its_files_are_there(client: Client) -> None:
    answer = client.get("/api/docs")
    page = answer.content.decode()
    assert 'data-schema="/api/schema"' in page
    assert not INLINE.search(page)
    policy = answer["Content-Security-Policy"]
    assert "img-src 'self' data:" in policy
    assert "unsafe" not in policy


def test_the_root_lists_doors_that_open(browser: Client) -> None:
    doors = browser.get("/api/", headers={"Accept": "application/json"}).json()
    assert len(doors) >= 10
    for name, address in doors.items():
        path = address.removeprefix("http://testserver")
        allowed = {"preview": 405, "enrollment_tokens": 403}.get(name, 200)
        assert browser.get(path).status_code in (200, allowed), name


def test_the_root_lists_every_list(browser: Client) -> None:
    """But those of one object's: its own answer is where they are reached from."""
    doors = browser.get("/api/", headers={"Accept": "application/json"}).json()
    listed = {address.removeprefix("http://testserver/") for address in doors.values()}
    lists = {
        path
        for path, view in routes(get_resolver().url_patterns)
        if "list" in getattr(view, "actions", {}).values() and "<" not in path
    }
    assert len(lists) > 5
    assert lists <= listed


@pytest.mark.parametrize(
    "path", ["/api/", "/api/schedule/tasks", "/api/devices", "/api/schedule/nothing"]
)
def test_a_browser_gets_a_page_of_ours_without_inline_code(browser: Client, path: str) -> None:
    answer = browser.get(path, headers=HTML)
    page = answer.content.decode()
    assert answer["Content-Type"].startswith("text/html")
    assert "js/api_console.js" in page
    assert not INLINE.search(page)
    assert "data:" not in answer["Content-Security-Policy"]


def test_the_page_of_a_task_offers_what_may_be_sent_with_its_json_to_edit(
    browser: Client,
) -> None:
    operator = User.objects.get()
    group = factories.group(devices=[factories.device()], people=[operator])
    task = factories.task(operator, groups=[group], name="</textarea><script>alert(1)</script>")
    page = browser.get(f"/api/schedule/tasks/{task.pk}", headers=HTML).content.decode()
    assert '<a href="/api/schedule/tasks">tasks</a>' in page
    for method in ("PUT", "PATCH", "DELETE"):
        assert f'value="{method}"' in page
    assert str(task.pk) in page
    assert "<script>alert" not in page
    assert DeviceGroup.objects.count() == 1


def test_who_is_not_signed_in_gets_a_page_that_leads_there(client: Client, db: None) -> None:
    answer = client.get("/api/schedule/tasks", headers=HTML)
    assert answer.status_code == 401
    assert "/accounts/login/?next=/api/schedule/tasks" in answer.content.decode()


def test_a_client_that_names_no_type_gets_json(browser: Client) -> None:
    assert browser.get("/api/schedule/tasks")["Content-Type"] == "application/json"
