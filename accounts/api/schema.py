"""What OpenAPI says of every operation alike: headers, refusals, the bearer token."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

from accounts.api.doors import Door
from accounts.api.idempotency import HEADER, MAX_KEY_LENGTH
from accounts.api.scopes import HasScope, needed_scopes

Operation = dict[str, Any]
_LIST_OF_TEXTS = {"type": "array", "items": {"type": "string"}}
_DETAIL = {"detail": {"type": "string"}}
COMPONENTS: dict[str, dict[str, Any]] = {
    "FieldErrors": {
        "type": "object",
        "description": "Every wrong field with what is wrong about it; `detail` where the request"
        " could not be read at all.",
        "properties": {"detail": {"type": "string"}},
        "additionalProperties": _LIST_OF_TEXTS,
    },
    "Refusal": {"type": "object", "required": ["detail"], "properties": _DETAIL},
    "StateConflict": {
        "type": "object",
        "required": ["detail", "status"],
        "properties": {**_DETAIL, "status": {"type": "string", "description": "The current one."}},
    },
}
REFUSALS = {
    "400": ("FieldErrors", "Wrong input."),
    "401": ("Refusal", "No credentials, or none that are valid."),
    "403": ("Refusal", "Not allowed to do this."),
    "404": ("Refusal", "Missing, or not visible to this person."),
    "409": ("StateConflict", "Its state does not allow this."),
    "412": ("Refusal", "It is not the one `If-Match` names any more."),
    "413": ("Refusal", "Over 2 MiB."),
    "415": ("Refusal", "Not JSON."),
    "429": ("Refusal", "Too many requests; see `Retry-After`."),
}


class Schema(AutoSchema):
    def get_override_parameters(self) -> list[Any]:
        parameters = []
        if getattr(self._handler(), "is_idempotent", False):
            parameters.append(_header(HEADER, _IDEMPOTENCY, {"maxLength": MAX_KEY_LENGTH}))
        if self.method in ("PUT", "PATCH") and isinstance(self.view, Door):
            parameters.append(_header("If-Match", "The `ETag` of a GET; 412 where it has changed."))
        return parameters

    def get_description(self) -> str:  # type: ignore[override]
        """What the view says of itself, and what a limited token needs for it."""
        said = str(super().get_description() or "")
        if not any(isinstance(one, HasScope) for one in self.view.get_permissions()):
            return said
        scopes = ", ".join(f"`{one}`" for one in needed_scopes(self.method, self.view))
        return f"{said}\n\nScopes: {scopes}.".strip()

    def get_operation_id(self) -> str:
        """`…_pause` for `POST …/pause`, where drf-spectacular would say `…_pause_create`."""
        words = self._tokenize_path()
        if words and words[-1] == getattr(self.view, "action", None):
            return "_".join(words).replace("-", "_")
        return str(super().get_operation_id())

    def _handler(self) -> Any:
        action = getattr(self.view, "action", None) or self.method.lower()
        return getattr(self.view, action, None)


_IDEMPOTENCY = (
    "The same key with the same body answers the first result again for 24 hours; with another"
    " body 409."
)


def _header(name: str, description: str, schema: dict[str, Any] | None = None) -> OpenApiParameter:
    return OpenApiParameter(
        name,
        {"type": "string", **(schema or {})},
        OpenApiParameter.HEADER,
        description=description,
    )


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "accounts.api.authentication.BearerAuthentication"
    name = "bearer"
    definition: ClassVar = {
        "type": "http",
        "scheme": "bearer",
        "description": "A token made under Settings, or by `manage.py apitoken add`.",
    }

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return self.definition


def add_refusals(result: dict[str, Any], **_context: Any) -> dict[str, Any]:
    """A postprocessing hook: the answers every operation may give beside its own."""
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(COMPONENTS)
    for path in result["paths"].values():
        for method, operation in path.items():
            for status in _possible(method, operation):
                operation["responses"].setdefault(status, _response(status))
    return result


def _possible(method: str, operation: Operation) -> list[str]:
    parameters = operation.get("parameters", [])
    is_open = {} in operation.get("security", [{}])
    statuses = ["429"] if is_open else ["401", "403", "429"]
    if "requestBody" in operation:
        statuses += ["400", "413", "415"]
    elif any(one["in"] == "query" for one in parameters):
        statuses.append("400")
    if any(one["in"] == "path" for one in parameters):
        statuses.append("404")
    if method in ("post", "put", "patch", "delete"):
        statuses.append("409")
    if any(one["name"] == "If-Match" for one in parameters):
        statuses.append("412")
    return statuses


def _response(status: str) -> dict[str, Any]:
    schema, description = REFUSALS[status]
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content}
