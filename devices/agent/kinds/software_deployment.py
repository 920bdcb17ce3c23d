"""Kind `software_deployment`: software out of the catalogue installed, upgraded, taken away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import register
from .contract import (
    Catalogue,
    Context,
    Finished,
    FormField,
    JsonObject,
    Kind,
    References,
    Requirements,
)
from .reading import Reading, file_problem, is_unstorable

ACTIONS = ("install", "upgrade", "uninstall")
MAX_SOFTWARE = 50
MAX_RESUMED = 10
MAX_SOURCES = 20
_INPUT = frozenset({"software_ids", "action", "deployment_name"})
_ORDER = frozenset({"software", "action", "deployment_name", "resumes"})
_ENTRY = frozenset({"id", "name", "version", "publisher", "requirements", "sources"})
_COMMANDS = ("install_command", "upgrade_command", "uninstall_command", "detect_command")
_SOURCE = frozenset(
    {
        "os", "architecture", "format", "file", "package_name", *_COMMANDS,
        "success_exit_codes", "reboot_exit_codes",
    }
)  # fmt: skip
_LABELS = {"install": "Install", "upgrade": "Upgrade", "uninstall": "Uninstall"}


@register
class SoftwareDeployment(Kind):
    name = "software_deployment"
    label = "Software deployment"
    payload_field = "software_payload"

    def parse(self, payload: object, *, rollout: Mapping[str, object] | None = None) -> JsonObject:
        reading = _Reading.of(payload)
        if (rollout or {}).get("strategy") == "transactional":
            reading.wrong("non_field_errors", "A transactional rollout is for commands alone.")
        taken = {"software_ids": reading.ids("software_ids", MAX_SOFTWARE), **reading.options()}
        return reading.finished(taken, _INPUT)

    def accept(self, order: object) -> JsonObject:
        reading = _Reading.of(order)
        taken = {"software": reading.entries(), **reading.options(), "resumes": reading.resumes()}
        return reading.finished(taken, _ORDER)

    def references(self, payload: JsonObject) -> References:
        named = tuple(payload["software_ids"])
        return References(software=named, removed=named if payload["action"] == "uninstall" else ())

    def resolve(self, payload: JsonObject, catalogue: Catalogue) -> JsonObject:
        entries = catalogue.software(payload["software_ids"])
        if payload["action"] == "uninstall":
            # What depends on something goes before it, and what was not named stays.
            named = set(payload["software_ids"])
            entries = [one for one in reversed(entries) if one["id"] in named]
        return {"software": entries} | {n: v for n, v in payload.items() if n != "software_ids"}

    def resume(self, order: JsonObject, execution: str) -> JsonObject:
        return {**order, "resumes": [*order.get("resumes", ()), execution][-MAX_RESUMED:]}

    def files(self, order: JsonObject) -> tuple[str, ...]:
        sources = [source for one in order["software"] for source in one["sources"]]
        return tuple(dict.fromkeys(one["file"]["sha256"] for one in sources if "file" in one))

    def summary(self, payload: JsonObject) -> str:
        named = payload.get("deployment_name")
        if "software" in payload:
            what = ", ".join(f"{one['name']} {one['version']}" for one in payload["software"])
        else:
            number = len(payload["software_ids"])
            what = "1 software" if number == 1 else f"{number} pieces of software"
        line = f"{_LABELS[payload['action']]} {what}"
        line = f"{named}: {line}" if named else line
        return line if len(line) <= 120 else line[:119] + "…"

    def requires(self, order: JsonObject) -> Requirements:
        sources = [source for one in order["software"] for source in one["sources"]]
        systems = {source["os"] for source in sources if _runs_shell(source)}
        return Requirements(shell="" if systems else None, systems=tuple(sorted(systems)))

    def schema(self) -> JsonObject:
        return {
            "type": "object",
            "additionalProperties": False,
            "required": ["software_ids", "action"],
            "properties": {
                "software_ids": {
                    "type": "array",
                    "items": {"type": "string", "format": "uuid"},
                    "minItems": 1,
                    "maxItems": MAX_SOFTWARE,
                },
                "action": {"type": "string", "enum": list(ACTIONS)},
                "deployment_name": {"type": "string", "maxLength": 200},
            },
        }

    def form_fields(self) -> tuple[FormField, ...]:
        actions = tuple((name, _LABELS[name]) for name in ACTIONS)
        return (
            FormField("software_ids", "Software", "software", required=True),
            FormField("action", "Action", "select", required=True, choices=actions),
            FormField("deployment_name", "Name of the deployment", "text"),
        )

    def run(self, order: JsonObject, context: Context) -> Finished:
        from .. import installing  # noqa: PLC0415, TID252  (the server has no use for it)

        return installing.run(order, context)


class _Reading(Reading):
    def options(self) -> JsonObject:
        if self.raw.get("action") is None:
            self.wrong("action", f"Must be one of {', '.join(ACTIONS)}.")
        return {
            "action": self.choice("action", dict.fromkeys(ACTIONS)),
            "deployment_name": self.title("deployment_name", 200),
        }

    def resumes(self) -> list[str] | None:
        return self.ids("resumes", MAX_RESUMED) if "resumes" in self.raw else None

    def entries(self) -> list[JsonObject]:
        entries = self.raw.get("software")
        if not isinstance(entries, list) or not entries:
            self.wrong("software", "Give a list of software.")
            return []
        for number, entry in enumerate(entries, 1):
            if problem := _entry_problem(entry):
                self.wrong("software", f"entry {number}: {problem}")
        return entries


def _entry_problem(entry: object) -> str | None:
    if not isinstance(entry, dict) or set(entry) != _ENTRY:
        return f"has exactly {', '.join(sorted(_ENTRY))}."
    if not all(isinstance(entry[name], str) for name in ("id", "name", "version", "publisher")):
        return "id, name, version and publisher are texts."
    needs = entry["requirements"]
    if not isinstance(needs, dict) or any(type(value) is not int for value in needs.values()):
        return "requirements are numbers."
    sources = entry["sources"]
    if not isinstance(sources, list) or len(sources) > MAX_SOURCES:
        return f"has at most {MAX_SOURCES} sources."
    return next((problem for one in sources if (problem := _source_problem(one))), None)


def _source_problem(source: Any) -> str | None:
    if not isinstance(source, dict) or set(source) - _SOURCE:
        return "a source holds something unknown."
    texts = ("os", "architecture", "format")
    if any(not isinstance(source.get(name), str) for name in texts):
        return "a source has os, architecture and format."
    if problem := _form_problem(source):
        return problem
    given = [source[name] for name in (*_COMMANDS, "package_name") if name in source]
    if any(not isinstance(one, str) or is_unstorable(one) for one in given):
        return "commands and the package's name are texts."
    for name in ("success_exit_codes", "reboot_exit_codes"):
        codes = source.get(name, [])
        if not isinstance(codes, list) or any(type(code) is not int for code in codes):
            return f"{name} are numbers."
    if "file" not in source:
        return None
    return file_problem(source["file"], is_sized=False)


def _runs_shell(source: JsonObject) -> bool:
    from ..software_formats import FORMATS  # noqa: PLC0415, TID252  (as in run)

    return FORMATS[source["format"]].is_script or any(name in source for name in _COMMANDS)


def _form_problem(source: JsonObject) -> str | None:
    from ..software_formats import FORMATS, PACKAGE_NAME  # noqa: PLC0415, TID252  (as in run)

    if source["format"] not in FORMATS:
        return f"this agent does not know the format {source['format'][:50]}."
    is_name = PACKAGE_NAME.fullmatch(str(source.get("package_name", "any")))
    return None if is_name else "a package's name is not one."
