"""What the kind `software_deployment` does on the device: find, fetch, install, and look again.

Detection comes first and last: what is there is not installed again, and a command that says it succeeded
is believed when what it installed is found. Where nothing can detect it, its exit code alone counts, and
a step that succeeded is not repeated by a later attempt, nor by a retry of the execution.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from .done import Done
from .facts import architecture
from .kinds import CannotStart, Context, FileFacts, Finished, JsonObject, NotFetched, Stopped
from .kinds.command import SHELLS
from .packages import APT_ENVIRONMENT, WAYS, Subject, Way, version_in
from .software_formats import ANY_ARCHITECTURE, FORMATS
from .versions import compare

_CANNOT_START = 127
_MOST_VERSION = 200
_MEGABYTE = 1024 * 1024
_WANTS_REBOOT = Path("/run/reboot-required")
_CHANGES = ("installed", "upgraded", "downgraded", "uninstalled")


class Failed(Exception):
    """A step did not work out; the text says why, for a person."""

    def __init__(self, said: str, exit_code: int | None = None) -> None:
        super().__init__(said)
        self.exit_code = exit_code


@dataclass(slots=True)
class Step:
    """One software of the order on this device."""

    entry: JsonObject
    source: JsonObject
    context: Context
    wants_reboot: bool = False
    exit_code: int | None = 0
    _path: Path | None = None
    _package: str | None = field(default=None)

    @property
    def name(self) -> str:
        return str(self.entry["name"])

    @property
    def way(self) -> Way:
        """The format's own commands; none for a source that installs in a way of its own: where
        that puts things, the format's commands would not find them, or find others."""
        is_own = "install_command" in self.source
        return Way() if is_own else WAYS[self.source["format"]]

    @property
    def can_detect(self) -> bool:
        """By a command of its own, or by the format's where the package's name can be known."""
        is_named = "package_name" in self.source or self.way.named is not None
        return "detect_command" in self.source or (self.way.detect is not None and is_named)

    def detect(self) -> str | None:
        """The installed version; None where it is not there."""
        if "detect_command" in self.source:
            code, printed = self._ask(self._shell(self.source["detect_command"]))
            lines = printed.decode(errors="replace").strip().splitlines()
            return (lines[0].strip() if lines else "?")[:_MOST_VERSION] if code == 0 else None
        way = self.way.detect
        if way is None:
            return None
        subject = self._subject()
        code, printed = self._ask(way(subject))
        if code != 0:
            return None
        lines = printed.decode(errors="replace").splitlines()
        version = version_in(self.source["format"], lines, subject.package)
        return version and version[:_MOST_VERSION]

    def act(self, action: str) -> None:
        """Runs the action's command. Raises Failed, NotFetched, Stopped."""
        given = self.source.get(f"{action}_command")
        if given is None and action == "upgrade":
            given = self.source.get("install_command")  # who says how to install means both
        way = getattr(self.way, action)
        if given is None and way is None:
            raise Failed(f"its source has no command to {action} it")
        is_placed = given is not None or self.source["format"] == "tarball"
        try:
            directory = self._directory() if is_placed else None
            if given is None and action != "uninstall":
                self._refresh()
            argv = self._shell(given) if given is not None else way(self._subject())
            variables = {**APT_ENVIRONMENT, **self._environment()}
            self.exit_code = self.context.execute(
                argv, environment=variables, working_directory=directory
            )
        except CannotStart as problem:
            raise Failed(str(problem), _CANNOT_START) from None
        self._judge()

    def _refresh(self) -> None:
        """Once a run. Where a repository does not answer, what was known of it may do."""
        done = self.context.scratch / f"refreshed-{self.source['format']}"
        if self.way.refresh is not None and not done.exists():
            done.touch()
            self.context.execute(self.way.refresh, environment=APT_ENVIRONMENT)

    def _judge(self) -> None:
        form = FORMATS[self.source["format"]]
        rebooting = self.source.get("reboot_exit_codes") or form.reboot
        succeeding = self.source.get("success_exit_codes") or form.success
        self.wants_reboot = self.exit_code in rebooting
        if not self.wants_reboot and self.exit_code not in succeeding:
            raise Failed(f"exit code {self.exit_code}", self.exit_code)

    def _subject(self) -> Subject:
        form = self.source["format"]
        path = str(self._file()) if "file" in self.source and self._needs_file() else ""
        return Subject(path, self._named(form, path), self.entry["version"])

    def _needs_file(self) -> bool:
        return self._path is not None or "package_name" not in self.source

    def _named(self, form: str, path: str) -> str:
        """The package's name: as the source says, else as the file itself does."""
        if "package_name" in self.source:
            return str(self.source["package_name"])
        way = WAYS[form].named
        if self._package is None and way is not None:
            code, printed = self._ask(way(Subject(path, "", self.entry["version"])))
            words = printed.decode(errors="replace").split()
            if code != 0 or not words or words[0].startswith("-"):
                raise Failed(f"the file is no {form} package")
            self._package = words[0]
        return self._package or self.name

    def bring(self) -> None:
        """The file, where the source has one. Raises NotFetched, Stopped."""
        if "file" in self.source:
            self._file()

    def _file(self) -> Path:
        """On this device and under its own name, which some installers look at."""
        if self._path is None:
            given = self.source["file"]
            facts = FileFacts(given["name"], given["sha256"], given["size"])
            fetched = self.context.fetch(facts)
            folder = self.context.scratch / facts.sha256[:16]
            folder.mkdir(exist_ok=True)
            self._path = folder / facts.name
            if not self._path.exists():
                shutil.copyfile(fetched, self._path)
        return self._path

    def _directory(self) -> str | None:
        """Where commands run: in an unpacked archive, or beside the file."""
        if "file" not in self.source:
            return None
        path = self._file()
        if self.source["format"] != "tarball":
            return str(path.parent)
        unpacked = path.parent / "unpacked"
        if not unpacked.exists():
            unpacked.mkdir()
            argv = ["tar", "-x", "-f", str(path), "-C", str(unpacked), "--no-same-owner"]
            if (code := self.context.execute(argv)) != 0:
                raise Failed(f"the archive cannot be unpacked: exit code {code}", code)
        inside = list(unpacked.iterdir())
        only = inside[0] if len(inside) == 1 and inside[0].is_dir() else unpacked
        return str(only)

    def _ask(self, argv: Sequence[str]) -> tuple[int, bytes]:
        try:
            return self.context.ask(argv, environment=self._environment())
        except CannotStart as problem:
            raise Failed(str(problem), _CANNOT_START) from None

    def _shell(self, command: str) -> Sequence[str]:
        shell = "powershell" if self.context.system == "windows" else "sh"
        return (*SHELLS[shell], command)

    def _environment(self) -> dict[str, str]:
        return {
            "DEPLOYX_FILE": str(self._path or ""),
            "DEPLOYX_PACKAGE": str(self.source.get("package_name", "")),
            "DEPLOYX_SOFTWARE_NAME": self.name,
            "DEPLOYX_SOFTWARE_VERSION": str(self.entry["version"]),
        }


def run(order: JsonObject, context: Context) -> Finished:
    """Everything in order; the first step that fails ends it. Raises Stopped."""
    action = order["action"]
    done = Done(context.memory, context.execution, order.get("resumes", ()))
    steps: list[JsonObject] = []
    found: list[JsonObject] = []
    for entry in order["software"]:
        began = time.monotonic()
        said: JsonObject = {"software": f"{entry['name']} {entry['version']}"}
        steps.append(said)
        context.write("stdout", f"== {action} {said['software']}\n".encode())
        try:
            said |= _one(entry, action, context, done, found)
        except (Failed, NotFetched) as problem:
            code = getattr(problem, "exit_code", None)
            said |= {"state": "failed", "why": str(problem)[:500], "exit_code": code}
            context.write("stderr", f"{problem}\n".encode())
            break
        except Stopped:
            said["state"] = "stopped"
            raise Stopped(_finished(steps, found, len(order["software"]))) from None
        finally:
            said["seconds"] = round(time.monotonic() - began, 3)
    finished = _finished(steps, found, len(order["software"]))
    if finished.succeeded:
        done.close()
    return finished


def _one(
    entry: JsonObject, action: str, context: Context, done: Done, found: list[JsonObject]
) -> JsonObject:
    """What became of one entry. Raises Failed, NotFetched, Stopped."""
    step = Step(entry, _source_for(entry, context.system), context)
    if action != "uninstall":
        _require_room(entry["requirements"])
    before = step.detect() if step.can_detect else done.version_of(entry)
    if action == "uninstall" and not step.can_detect and done.has(entry):
        return {"state": "not installed", "found": None}
    if state := _nothing_to_do(step, action, before):
        _note(found, entry, before)
        is_other = before not in (None, entry["version"])
        why = {"why": f"version {before} is there"} if is_other else {}
        return {"state": state, "found": before, **why}
    rebooted_before = _WANTS_REBOOT.exists()
    try:
        after = _acted(step, action)
    except (Failed, NotFetched):
        _note_what_is_left(found, step)
        raise
    done.record(entry, after)
    _note(found, entry, after)
    wants_reboot = step.wants_reboot or (_WANTS_REBOOT.exists() and not rebooted_before)
    return {
        "state": _state(step, action, before, after),
        "found": after,
        "exit_code": step.exit_code,
        **({"reboot_required": True} if wants_reboot else {}),
    }


def _acted(step: Step, action: str) -> str | None:
    """The version that is there afterwards. Raises Failed, NotFetched, Stopped."""
    step.bring()
    step.act(action)
    after = step.detect() if step.can_detect else _believed(step.entry, action)
    if action != "uninstall" and after is None:
        raise Failed("its command succeeded, but it is not found afterwards", step.exit_code)
    if action == "uninstall" and after is not None and step.can_detect:
        raise Failed(f"its command succeeded, but version {after} is still there", step.exit_code)
    return after


def _nothing_to_do(step: Step, action: str, before: str | None) -> str:
    """A newer version than the entry's is as good: nothing is ever put below it."""
    form = FORMATS[step.source["format"]]
    order = None if before is None else compare(before, step.entry["version"], form.name)
    is_current = order is not None and order >= 0
    if action == "install" and (is_current or (before is not None and form.is_packaged)):
        return "already installed"
    if action == "upgrade":
        if before is None and step.can_detect:
            return "not installed"
        if is_current and not form.is_packaged:
            return "already up to date"
    if action == "uninstall" and before is None and step.can_detect:
        return "not installed"
    return ""


def _state(step: Step, action: str, before: str | None, after: str | None) -> str:
    if action == "uninstall":
        return "uninstalled"
    if before is None or after is None:
        return "installed"
    order = compare(after, before, step.source["format"])
    if order == 0:
        return "unchanged"
    return "upgraded" if order is None or order > 0 else "downgraded"


def _source_for(entry: JsonObject, system: str) -> JsonObject:
    """The source for this very machine, else the one for any of its system. Raises Failed."""
    machine = architecture()
    for wanted in (machine, ANY_ARCHITECTURE):
        for source in entry["sources"]:
            if (source["os"], source["architecture"]) == (system, wanted):
                if source["format"] not in FORMATS:
                    raise Failed(f"this agent does not know the format {source['format']}")
                chosen: JsonObject = source
                return chosen
    raise Failed(f"there is no source for {system} on {machine}")


def _require_room(requirements: JsonObject) -> None:
    free = shutil.disk_usage(Path.cwd().anchor).free // _MEGABYTE
    if free < requirements.get("free_disk_mb", 0):
        raise Failed(f"it needs {requirements['free_disk_mb']} MB of disk; {free} are free")
    memory = psutil.virtual_memory().total // _MEGABYTE
    if memory < requirements.get("memory_mb", 0):
        raise Failed(f"it needs {requirements['memory_mb']} MB of memory; there are {memory}")


def _believed(entry: JsonObject, action: str) -> str | None:
    return None if action == "uninstall" else str(entry["version"])


def _note_what_is_left(found: list[JsonObject], step: Step) -> None:
    """The step has failed, and the server still believes in what was there before."""
    with contextlib.suppress(Failed, NotFetched, Stopped):
        if step.can_detect:
            _note(found, step.entry, step.detect())


def _note(found: list[JsonObject], entry: JsonObject, version: str | None) -> None:
    found.append({"id": entry["id"], "name": entry["name"], "version": version})


def _finished(steps: list[JsonObject], found: list[JsonObject], number: int) -> Finished:
    last = steps[-1]
    has_failed = last["state"] == "failed"
    # Of a step that was stopped nobody knows.
    changed = any(one["state"] in _CHANGES for one in steps) or (
        None if last["state"] == "stopped" else False
    )
    reboots = any(one.get("reboot_required") for one in steps)
    if has_failed:
        said = f"step {len(steps)} of {number}, {last['software']}: {last['why']}"
    elif number == 1:
        said = ": ".join(last[word] for word in ("software", "state", "why") if word in last)
    else:
        states = [one["state"] for one in steps]
        counted = ", ".join(f"{states.count(one)} {one}" for one in dict.fromkeys(states))
        said = f"{number} pieces of software: {counted}"
    code = last.get("exit_code") if has_failed else 0
    return Finished(not has_failed, code, said, tuple(steps), changed, reboots, tuple(found))
