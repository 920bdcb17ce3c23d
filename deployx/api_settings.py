"""Settings of the REST API: Django REST framework and its OpenAPI description."""

from __future__ import annotations

from typing import Any

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.api.authentication.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "accounts.api.scopes.HasScope",
    ],
    "DEFAULT_PARSER_CLASSES": ["accounts.api.parsers.ObjectParser"],
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "accounts.api.browsable.BrowsableRenderer",
    ],
    "DEFAULT_PAGINATION_CLASS": "accounts.api.pagination.NumberedPages",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    # A brake, not a guarantee: DRF counts in the cache, and not atomically.
    "DEFAULT_THROTTLE_CLASSES": [
        "rest_framework.throttling.UserRateThrottle",
        "rest_framework.throttling.AnonRateThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {"user": "3000/min", "anon": "300/min"},
    "DEFAULT_SCHEMA_CLASS": "accounts.api.schema.Schema",
    "URL_FORMAT_OVERRIDE": None,  # an answer's type follows from `Accept` alone
    "VIEW_NAME_FUNCTION": "accounts.api.browsable.name_of",
    "EXCEPTION_HANDLER": "accounts.api.errors.handle",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "UNICODE_JSON": True,
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "DeployX",
    "DESCRIPTION": "Schedules commands, software and files on fleets of devices.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SCHEMA_PATH_PREFIX": "/api/(schedule/)?",
    "COMPONENT_SPLIT_REQUEST": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "accounts.api.schema.add_refusals",
    ],
    "ENUM_NAME_OVERRIDES": {
        "TaskStatus": "scheduling.models.ScheduledTask.Status",
        "ExecutionStatus": "scheduling.models.Execution.Status",
        "RunStatus": "scheduling.models.DeviceRun.Status",
        "DeviceStatus": "devices.models.Device.Status",
        "GroupKind": "devices.models.DeviceGroup.Kind",
        "EnrollmentTokenStatus": "devices.models.EnrollmentToken.Status",
    },
}
