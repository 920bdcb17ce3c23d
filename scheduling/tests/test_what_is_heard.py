"""Who hears of what at the browsers' socket: whoever may see it, and who saw it before."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from accounts import tokens
from devices import enrollment, groups
from devices.tests.conftest import in_thread
from scheduling import board, ledger, templates
from scheduling.catalogue import files, software, uploads
from scheduling.models import ScheduledTask
from scheduling.tests import factories
from scheduling.tests.catalogue.conftest import files_dir
from scheduling.tests.test_live_socket import notices, page_of

__all__ = ["files_dir", "notices"]

pytestmark = pytest.mark.django_db(transaction=True)


async def test_whoever_may_use_a_group_hears_of_it_and_no_other(
    notices: board.Board, admin: User, operator: User, outsider: User
) -> None:
    group = await in_thread(lambda: factories.group("web", people=[operator]))
    async with page_of(operator, notices) as page, page_of(outsider, notices) as other:
        await in_thread(lambda: groups.update(group, admin, {"name": "shop"}, partial=True))
        heard = await page.hears()
        assert (heard["object"], heard["id"]) == ("group", str(group.pk))
        assert await other.hears_nothing()


async def test_the_owner_hears_of_a_task_whose_group_is_deleted(
    notices: board.Board, admin: User, operator: User
) -> None:
    group = await in_thread(lambda: factories.group(people=[operator]))
    await in_thread(lambda: factories.task(operator, groups=[group]))
    async with page_of(operator, notices) as page:
        await in_thread(lambda: groups.delete(group, admin))
        assert {(await page.hears())["object"] for _ in range(2)} == {"group", "task"}


async def test_who_loses_a_group_hears_of_it(
    notices: board.Board, admin: User, operator: User
) -> None:
    group = await in_thread(lambda: factories.group("web", people=[operator]))
    async with page_of(operator, notices) as page:
        await in_thread(lambda: groups.update(group, admin, {"people": []}, partial=True))
        assert (await page.hears())["id"] == str(group.pk)


OF_ONES_OWN: dict[str, Callable[[User], object]] = {
    "file": lambda user: files.create(user, {"name": "motd"}, iter([b"hello"]), 5),
    "upload": lambda user: uploads.begin(user, {"name": "big.iso"}, 5),
    "template": lambda user: templates.create(user, {"name": "Daily", "task_type": "command"}),
    "token": lambda user: tokens.issue(user, "laptop"),
}


@pytest.mark.parametrize("kind", OF_ONES_OWN)
async def test_what_is_ones_own_is_heard_of_by_its_owner_alone(
    notices: board.Board, operator: User, outsider: User, kind: str
) -> None:
    async with page_of(operator, notices) as page, page_of(outsider, notices) as other:
        await in_thread(lambda: OF_ONES_OWN[kind](operator))
        assert (await page.hears())["object"] == kind
        assert await other.hears_nothing()


async def test_of_an_upload_each_piece_and_its_end_are_heard(
    notices: board.Board, operator: User, outsider: User
) -> None:
    upload = await in_thread(lambda: uploads.begin(operator, {"name": "big.iso"}, 5))
    async with page_of(operator, notices) as page, page_of(outsider, notices) as other:
        await in_thread(lambda: uploads.append(upload, 0, iter([b"he"]), 2))
        assert (await page.hears())["id"] == str(upload.pk)
        await in_thread(lambda: uploads.give_up(upload))
        assert (await page.hears())["object"] == "upload"
        assert await other.hears_nothing()


async def test_that_a_token_is_used_and_revoked_is_heard(
    notices: board.Board, operator: User
) -> None:
    token, key = await in_thread(lambda: tokens.issue(operator, "laptop"))
    async with page_of(operator, notices) as page:
        for change in (lambda: tokens.find(key), lambda: tokens.revoke(token)):
            await in_thread(change)
            assert (await page.hears())["id"] == str(token.pk)


async def test_who_owned_a_deleted_file_hears_of_it(
    notices: board.Board, admin: User, operator: User
) -> None:
    file = await in_thread(lambda: files.create(operator, {"name": "motd"}, iter([b"hello"]), 5))
    pk = str(file.pk)
    async with page_of(operator, notices) as page:
        await in_thread(lambda: files.delete(file, admin))
        assert (await page.hears())["id"] == pk


async def test_everybody_hears_of_what_everybody_saw(
    notices: board.Board, admin: User, operator: User, outsider: User
) -> None:
    entry = await in_thread(lambda: factories.software(admin))
    given = {"name": "Daily", "task_type": "command", "shared": True}
    template = await in_thread(lambda: templates.create(operator, given))
    async with page_of(outsider, notices) as page:
        await in_thread(lambda: software.delete(entry, admin))
        assert (await page.hears())["object"] == "software"
        taken_back = await in_thread(
            lambda: templates.update(template, operator, {"shared": False}, partial=True)
        )
        assert (await page.hears())["object"] == "template"
        await in_thread(lambda: templates.delete(taken_back, operator))
        assert await page.hears_nothing()


async def test_what_a_run_found_installed_is_told_by_its_entry_of_the_catalogue(
    notices: board.Board, admin: User, operator: User, task: ScheduledTask
) -> None:
    entry = await in_thread(lambda: factories.software(admin))
    run = await in_thread(lambda: factories.run(factories.execution(task), status="running"))
    found = {"installed": [{"id": str(entry.pk), "name": entry.name, "version": "1.0"}]}
    async with page_of(operator, notices) as page:
        await in_thread(lambda: ledger.results([factories.result_of(run, detail=found)]))
        heard = {one["object"]: one["id"] for one in [await page.hears(), await page.hears()]}
        assert heard["software"] == str(entry.pk)


async def test_administrators_alone_hear_of_enrolment_tokens(
    notices: board.Board, admin: User, operator: User
) -> None:
    async with page_of(admin, notices) as page, page_of(operator, notices) as other:
        token, _text = await in_thread(enrollment.issue)
        heard = await page.hears()
        assert (heard["object"], heard["id"]) == ("enrollment_token", str(token.pk))
        assert await other.hears_nothing()
