"""A brake on the API, DRF's own: it counts in the cache, not atomically, and guarantees nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from redis.exceptions import RedisError
from rest_framework.throttling import AnonRateThrottle, SimpleRateThrottle, UserRateThrottle

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView

log = structlog.get_logger(__name__)


class _Brake(SimpleRateThrottle):
    def allow_request(self, request: Request, view: APIView) -> bool:
        try:
            return super().allow_request(request, view)
        except (RedisError, OSError) as error:
            # Without Redis the system goes on, slower; so does its API.
            log.warning("throttle_unavailable", error=type(error).__name__)
            return True


class PersonBrake(_Brake, UserRateThrottle):
    """By person, whatever tokens they use."""


class StrangerBrake(_Brake, AnonRateThrottle):
    """By address, for what needs no credentials."""
