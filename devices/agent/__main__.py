"""deployx-agent: makes this machine a device of a DeployX server and runs what it is told to."""

from __future__ import annotations

import argparse
import asyncio
import base64
import binascii
import importlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from . import __version__, kinds, service, updating
from .client import Agent
from .config import ConfigError, Settings, StateDir
from .enrolling import EnrolmentRefused, enroll
from .identity import load_key, load_server, save_server
from .journal import Journal, JournalFailed
from .platforms import lock_file
from .protocol import JournalState, fingerprint
from .updating import Chosen, Offer

_FAILED, _NOT_POSSIBLE = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 done, 1 it went wrong, 2 it was asked for something impossible."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
    )
    logging.getLogger("websockets").setLevel(logging.WARNING)
    os.umask(0o077)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except ConfigError as problem:
        return _complain(problem, _NOT_POSSIBLE)
    except (EnrolmentRefused, JournalFailed, service.ServiceFailed, OSError) as problem:
        return _complain(problem, _FAILED)
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="deployx-agent", description=__doc__)
    parser.add_argument("--version", action="version", version=f"deployx-agent {__version__}")
    parser.add_argument("--verbose", action="store_true", help="log more")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--state-dir", metavar="D", help="where identity and journal are kept")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    enrolling = commands.add_parser(
        "enroll", parents=[common], help="become a device of the server at URL"
    )
    enrolling.add_argument("url", metavar="URL")
    source = enrolling.add_mutually_exclusive_group()
    source.add_argument("--token", metavar="T", help="enrolment token; - reads it from stdin")
    source.add_argument("--token-file", metavar="F", help="file that holds the enrolment token")
    enrolling.add_argument(
        "--server-key-fingerprint", metavar="K", help="SHA-256 the server's key must have"
    )
    enrolling.add_argument("--name", metavar="N", help="name of the device (default: hostname)")
    enrolling.add_argument(
        "--force", action="store_true", help="enrol anew, as a new device, and keep the old state"
    )
    enrolling.set_defaults(command=_enroll)

    running = commands.add_parser("run", parents=[common], help="serve, until SIGTERM")
    running.set_defaults(command=_run)
    # For an agent of another version, which wants to be replaced by this one.
    trial = commands.add_parser("try-out", parents=[common])
    trial.set_defaults(command=_try_out)
    status = commands.add_parser("status", parents=[common], help="say who and how this agent is")
    status.set_defaults(command=_status)
    trust = commands.add_parser("trust", parents=[common], help="pin another server key by hand")
    trust.add_argument("key", metavar="KEY", help="the server's public key, base64")
    trust.set_defaults(command=_trust)

    unit = argparse.ArgumentParser(add_help=False)
    unit.add_argument(
        "--root", metavar="DIR", type=Path, help="write below DIR, and start or stop nothing"
    )
    installing = commands.add_parser(
        "install", parents=[common, unit], help="have systemd run this agent, now and at each boot"
    )
    installing.add_argument(
        "--restart", action="store_true", help="start it anew even if its unit is the same"
    )
    installing.set_defaults(command=_install)
    removing = commands.add_parser(
        "uninstall", parents=[common, unit], help="stop the service and remove it"
    )
    removing.add_argument(
        "--purge",
        action="store_true",
        help="remove this device's identity, journal and all it kept as well",
    )
    removing.add_argument("--yes", action="store_true", help="do not ask")
    removing.set_defaults(command=_uninstall)
    return parser


def _enroll(options: argparse.Namespace) -> int:
    state = StateDir.at(options.state_dir)
    token = _token(options)
    if state.server.exists():
        if not options.force:
            raise ConfigError(
                f"{state.path} is enrolled already; --force makes this machine a new device"
            )
        _put_aside(state)
    server = enroll(state, options.url, token, options.name, options.server_key_fingerprint)
    print(f"enrolled as {server.name}, device {server.device_id}")
    print(f"server key {server.fingerprint}")
    return 0


def _token(options: argparse.Namespace) -> str:
    if options.token_file:
        with open(options.token_file, encoding="utf-8") as file:
            token = file.read()
    elif options.token == "-":
        token = sys.stdin.readline()
    elif options.token:
        print(
            "warning: --token shows the token in this machine's process list; "
            "--token - and --token-file do not",
            file=sys.stderr,
        )
        token = options.token
    else:
        token = os.environ.get("DEPLOYX_ENROLL_TOKEN", "")
    if not token.strip():
        raise ConfigError("no enrolment token: give --token, --token-file or DEPLOYX_ENROLL_TOKEN")
    return token.strip()


def _put_aside(state: StateDir) -> None:
    """What the old device did stays readable beside the new one's state."""
    if _is_running(state):
        raise ConfigError(f"an agent is running in {state.path}; stop it first")
    number = 1
    while (aside := state.path.with_name(f"{state.path.name}.old-{number}")).exists():
        number += 1
    state.path.rename(aside)
    print(f"the state of the former device is now in {aside}")


def _run(options: argparse.Namespace) -> int:
    settings = Settings.from_environment(os.environ)
    state = StateDir.at(options.state_dir)
    _make_way(options, state)

    async def serve() -> Chosen | None:
        return await Agent(state, settings).run()

    while (chosen := asyncio.run(serve())) is not None:
        try:
            updating.try_out(chosen, state, settings.trial_seconds)
        except updating.UpdateFailed as problem:
            updating.refuse(Offer(chosen.version, chosen.sha256, 0), str(problem), state)
        else:
            updating.take(chosen, state)
            updating.become(chosen, _same(options, state))
    return 0


def _make_way(options: argparse.Namespace, state: StateDir) -> None:
    """For a newer version that was updated to; it is this same process from then on."""
    chosen = updating.newer(state)
    if chosen is None:
        return
    if updating.count_start(state):
        updating.become(chosen, _same(options, state))
    updating.give_up(chosen, state)


def _same(options: argparse.Namespace, state: StateDir) -> list[str]:
    verbose = ["--verbose"] if options.verbose else []
    return [*verbose, "run", "--state-dir", str(state.path)]


def _try_out(options: argparse.Namespace) -> int:
    settings = Settings.from_environment(os.environ)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # All of it is there, and can be loaded.
    kinds.every()
    importlib.import_module(f"{__package__}.shim")

    async def connect() -> None:
        await Agent(StateDir.at(options.state_dir), settings).try_out()

    asyncio.run(connect())
    return 0


def _end_with_parent() -> None:
    # Not sys.stdin, whose lock a thread must not hold when the interpreter ends.
    while os.read(0, 1024):
        pass
    os._exit(_FAILED)


def _status(options: argparse.Namespace) -> int:
    state = StateDir.at(options.state_dir)
    server = load_server(state)
    key = load_key(state)
    newer = updating.newer(state)
    print(f"version      {__version__}" + (f" (runs {newer.version})" if newer else ""))
    print(f"state        {state.path}")
    print(f"server       {server.url}")
    print(f"server key   {server.fingerprint}")
    print(f"device       {server.device_id} ({server.name})")
    print(f"device key   {fingerprint(key.public)}")
    print(f"agent        {'running' if _is_running(state) else 'not running'}")
    journal = Journal(state.journal, is_only_read=True)
    counts = dict.fromkeys(JournalState, 0)
    for entry in journal.entries.values():
        counts[entry.state] += 1
    print(f"runs         {', '.join(f'{number} {word}' for word, number in counts.items())}")
    print(f"remembered   {len(journal.tombstones)} settled runs")
    if journal.damaged:
        print("journal      DAMAGED: starts nothing new; enrol anew with --force")
        return _FAILED
    return 0


def _trust(options: argparse.Namespace) -> int:
    state = StateDir.at(options.state_dir)
    server = load_server(state)
    try:
        key = base64.b64decode(options.key, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != 32:
        raise ConfigError("KEY is not a public key: 32 bytes in base64")
    save_server(state, server.trusting(key))
    print(f"trusts the server key {fingerprint(key)} from the next connection on")
    return 0


def _install(options: argparse.Namespace) -> int:
    state = StateDir(StateDir.at(options.state_dir).path.absolute())
    systemd = service.Systemd(options.root)
    if options.root is None:
        load_server(state)
        systemd.require()
    program = service.program()
    # For an image, this machine's own agent is none of it.
    went_back = options.root is None and updating.go_back(state)
    changed = systemd.install(program, state, restart=options.restart or went_back)
    print(f"{'wrote' if changed else 'unchanged:'} {systemd.path}")
    if went_back:
        print(f"{__version__} runs again, in place of the newer version that had come by itself")
    if options.root is None:
        print("the agent runs; journalctl -u deployx-agent shows what it says")
    return 0


def _uninstall(options: argparse.Namespace) -> int:
    state = StateDir.at(options.state_dir)
    systemd = service.Systemd(options.root)
    systemd.require()
    if options.purge and not options.yes and not _agrees(state):
        print("nothing was changed")
        return _FAILED
    removed = systemd.uninstall()
    print(f"removed {systemd.path}" if removed else f"there is no {systemd.path}")
    if not options.purge:
        print(f"kept {state.path}, this device's identity and journal; --purge removes them")
        return 0
    if _is_running(state):
        raise ConfigError(f"an agent is running in {state.path}; stop it first")
    left = service.purge(state)
    print(f"purged {state.path}" + (f", except {', '.join(left)}" if left else ""))
    return 0


def _agrees(state: StateDir) -> bool:
    print(
        f"{state.path} holds this device's identity, what deployments replaced, and results that may not"
        " have been reported. Remove it for good? [y/N] ",
        end="",
        flush=True,
    )
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _is_running(state: StateDir) -> bool:
    if not state.lock.exists():
        return False
    descriptor = os.open(state.lock, os.O_RDWR)
    try:
        return not lock_file(descriptor)
    finally:
        os.close(descriptor)


def _complain(problem: Exception, code: int) -> int:
    print(f"deployx-agent: {problem}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
