"""`manage.py up` as a person meets it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx

from tests.running import CHECKOUT, RunningSystem, clean_environment, until


def test_it_is_alive_and_ready(system: RunningSystem) -> None:
    with httpx.Client(base_url=system.address, timeout=60) as anonymous:
        assert anonymous.get("/healthz").text == "ok\n"
        # Another test may have killed a program a moment ago.
        until(lambda: anonymous.get("/readyz").status_code == 200, what="ready")
        assert anonymous.get("/readyz").json() == {"ready": True, "missing": []}
        assert anonymous.get("/api/schedule/tasks").status_code == 401


def test_it_prints_a_first_sign_in_once_that_works(system: RunningSystem) -> None:
    lines = system.log.read_text(errors="replace").splitlines()
    (said,) = [line for line in lines if "with the password" in line]
    password = said.rsplit(" ", 1)[1]
    with httpx.Client(base_url=system.address, follow_redirects=True, timeout=60) as browser:
        page = browser.get("/accounts/login/")
        browser.post(
            "/accounts/login/",
            data={
                "login": "admin",
                "password": password,
                "csrfmiddlewaretoken": browser.cookies["csrftoken"],
            },
            headers={"Referer": str(page.url)},
        )
        assert browser.get("/tasks/").url.path == "/tasks/"


def test_a_second_one_in_the_same_place_is_told_so(system: RunningSystem) -> None:
    second = system.manage("up", check=False)
    assert second.returncode == 1
    assert "running already" in second.stderr


def test_a_port_in_use_is_named(system: RunningSystem, tmp_path: Path) -> None:
    environment = clean_environment(tmp_path, {"PORT": str(system.port)})
    done = manage("up", environment)
    assert done.returncode == 1
    assert f"Port {system.port} cannot be used" in done.stderr


def test_other_commands_without_a_running_system_say_what_to_do(tmp_path: Path) -> None:
    done = manage("migrate", clean_environment(tmp_path))
    assert done.returncode == 1
    assert "Run make up" in done.stderr


def test_every_wrong_variable_is_named_at_once(tmp_path: Path) -> None:
    wrong = {"DEPLOYX_POLL_SECONDS": "soon", "DEPLOYX_RUNS_PER_DEVICE": "0"}
    done = manage("check", clean_environment(tmp_path, wrong))
    assert done.returncode == 1
    assert all(name in done.stderr for name in wrong)


def test_one_that_dies_is_reported_and_started_again(system: RunningSystem) -> None:
    beat = system.child("celery", "beat")
    beat.kill()
    system.replacement(beat, "celery", "beat")
    assert "beat ended (signal 9)" in system.log.read_text(errors="replace")
    until(lambda: system.api.get("/readyz").status_code == 200, what="ready")


def manage(command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", command],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
