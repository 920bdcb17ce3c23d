"""Who may do what, where seeing a thing is not enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from accounts.errors import NotAllowed

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


def is_administrator(user: User | AnonymousUser) -> bool:
    return user.is_active and user.is_superuser


def require_administrator(user: User | AnonymousUser) -> None:
    """Raises NotAllowed for everybody else."""
    if not is_administrator(user):
        raise NotAllowed(_("Only an administrator may do this."))
