"""What is kept of former files and put back, what is only looked at, and what is rendered."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from devices.agent import backups, deploying, placing
from devices.tests.agent.device_context import DeviceContext
from devices.tests.agent.placing.orders import deploy, into, restore, tree


def test_what_was_replaced_comes_back_and_what_was_new_goes(
    context: DeviceContext, srv: Path
) -> None:
    (srv / "one").write_text("old")
    (srv / "one").chmod(0o751)
    before = tree(srv)
    files = context.offer(b"1", "one"), context.offer(b"2", "two")
    done = deploy(context, into(srv), *files, mode="0600")
    assert sorted(done.kept) == [f"{srv}/one", f"{srv}/two"]
    after = tree(srv)
    back = context.another_run()
    assert restore(back, context.execution, into(srv)).succeeded
    assert tree(srv) == before
    assert restore(context.another_run(), back.execution, into(srv)).succeeded
    assert tree(srv) == after


def test_what_the_first_attempt_kept_is_what_comes_back(context: DeviceContext, srv: Path) -> None:
    (srv / "file").write_text("old")
    deploy(context, srv / "file", context.offer(b"first"))
    second = context.another_run(execution=context.execution)
    deploy(second, srv / "file", second.offer(b"second"))
    restore(context.another_run(), context.execution, srv / "file")
    assert (srv / "file").read_text() == "old"


def test_where_nothing_is_kept_nothing_comes_back(context: DeviceContext, srv: Path) -> None:
    deploy(context, srv / "file", context.offer(b"new"), backup=False)
    done = restore(context.another_run(), context.execution, srv / "file")
    assert done.summary == (
        "nothing of that execution is kept on this device: it keeps what the last 50 executions"
        " replaced"
    )
    assert (srv / "file").read_text() == "new"


def test_the_oldest_that_is_kept_stays_while_it_is_put_back(
    context: DeviceContext, srv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "KEPT_EXECUTIONS", 1)
    (srv / "file").write_text("old")
    deploy(context, srv / "file", context.offer(b"new"))
    with monkeypatch.context() as broken:
        broken.setattr(placing.Folder, "remember", no_second_name)
        done = restore(context.another_run(), context.execution, srv / "file")
    assert (done.summary, done.changed) == ("no second name", False)
    assert (srv / "file").read_text() == "new"

    assert restore(context.another_run(), context.execution, srv / "file").succeeded

    assert (srv / "file").read_text() == "old"


def no_second_name(*_: object) -> None:
    raise placing.NotPlaced("no second name")


def test_what_more_executions_replaced_than_are_kept_is_forgotten_in_order(
    context: DeviceContext, srv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "KEPT_EXECUTIONS", 2)
    runs = [context.another_run() for _number in range(4)]
    for age, run in enumerate(runs):
        deploy(run, srv / "file", context.offer(run.execution.encode()))
        os.utime(backups.store_of(run.memory, run.execution), (age, age))

    kept = {store.name for store in (context.memory / "backups").iterdir()}

    assert kept == {runs[2].execution, runs[3].execution}


def test_a_copy_that_is_gone_is_said_to_be_no_longer_kept(
    context: DeviceContext, srv: Path
) -> None:
    (srv / "one").write_text("old")
    deploy(context, into(srv), context.offer(b"1", "one"), context.offer(b"2", "two"))
    before = tree(srv)
    (backups.store_of(context.memory, context.execution) / "0").unlink()

    done = restore(context.another_run(), context.execution, into(srv))

    assert (done.summary, done.changed) == (
        "the earlier version of one is no longer kept on this device: it keeps what the last 50"
        " executions replaced",
        False,
    )
    assert tree(srv) == before


def test_a_trial_changes_nothing_and_shows_what_would(context: DeviceContext, srv: Path) -> None:
    (srv / "conf").write_text("port 80\nhost a\n")
    before = tree(srv)
    file = context.offer(b"port 81\nhost a\n", "conf")
    done = deploy(context, into(srv), file, dry_run=True)
    assert (done.changed, done.summary) == (False, "1 of 1 files would change")
    assert b"-port 80\n+port 81\n host a\n" in context.printed
    made = deploy(context, srv / "a/b/conf", file, dry_run=True, create_path_if_not_exists=True)
    assert made.steps[0]["state"] == "would be new"
    assert tree(srv) == before


def test_of_what_is_no_text_or_large_a_trial_tells_the_digests(
    context: DeviceContext, srv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploying, "MOST_DIFF_BYTES", 1_000)
    (srv / "large").write_text("a\n" * 500)
    (srv / "binary").write_bytes(b"\xff\x00")
    contents = {"binary": b"text", "large": b"b\n" * 501, "new": b"\xff", "text": b"a\n"}
    files = [context.offer(content, name) for name, content in contents.items()]

    done = deploy(context, into(srv), *files, dry_run=True)

    assert done.summary == "4 of 4 files would change"
    digests = {name: str(file["sha256"])[:12] for name, file in zip(contents, files, strict=True)}
    was = (
        hashlib.sha256(b"\xff\x00").hexdigest()[:12],
        hashlib.sha256(b"a\n" * 500).hexdigest()[:12],
    )
    assert context.printed.decode().splitlines()[:3] == [
        f"{srv}/binary: no text, or large: {was[0]} becomes {digests['binary']}",
        f"{srv}/large: no text, or large: {was[1]} becomes {digests['large']}",
        f"{srv}/new: no text, or large: nothing becomes {digests['new']}",
    ]
    assert context.printed.endswith(b"@@ -0,0 +1 @@\n+a\n")


def test_of_many_differences_the_first_are_shown(
    context: DeviceContext, srv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploying, "MOST_DIFF_BYTES", 1_000)
    files = [context.offer(b"a line\n" * 100, name) for name in ("one", "two")]
    deploy(context, into(srv), *files, dry_run=True)
    end = b"\n[more differences than are shown]\n"
    assert context.printed.endswith(end)
    assert len(context.printed) == 1_000 + len(end)


def test_what_is_in_place_is_not_fetched(context: DeviceContext, srv: Path) -> None:
    file = context.offer(b"same")
    deploy(context, srv / "file", file)
    again = context.another_run()
    done = deploy(again, srv / "file", file)
    assert (done.summary, done.changed, again.fetched) == ("already in place", False, [])
    moded = deploy(again, srv / "file", file, mode="0600")
    assert (moded.steps[0]["state"], moded.changed) == ("mode or owner changed", True)
    assert again.fetched == []


# Templates.


def test_a_template_knows_its_variables_and_the_devices_facts(
    context: DeviceContext, srv: Path
) -> None:
    text = b"${site} ${facts.os} $${site} $HOME $1 ${site}\n"
    options = {"template": True, "variables": {"site": "${facts.os}"}}
    assert deploy(context, srv / "motd", context.offer(text), **options).succeeded
    assert (srv / "motd").read_text() == "${facts.os} linux ${site} $HOME $1 ${facts.os}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"a\nb ${sit}\n", "file: line 2: there is no variable 'sit'"),
        (b"${site + 1}", "there is no variable 'site + 1'"),
        (b"${}", "there is no variable ''"),
        (b"${site", "line 1: ${ without a }"),
        (b"${facts.nothing}", "there is no variable 'facts.nothing'"),
        (b"\xff\xfe\x00", "file: a template is text in UTF-8"),
        (b"x" * 1_048_577, "a template has at most 1048576 bytes"),
    ],
)
def test_what_cannot_be_rendered_says_where(
    context: DeviceContext, srv: Path, text: bytes, said: str
) -> None:
    options = {"template": True, "variables": {"site": "Berlin"}}
    done = deploy(context, srv / "motd", context.offer(text), **options)
    assert not done.succeeded
    assert said in done.summary
    assert tree(srv) == {}
