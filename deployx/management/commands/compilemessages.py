from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from deployx.translation import compile_stale


class Command(BaseCommand):
    help = "Compiles the catalogues of locale/ that are out of date; needs no gettext program."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        for path in compile_stale(Path(settings.LOCALE_PATHS[0])):
            # What `bootstrap` prints is the password of the first administrator, and nothing else.
            if options["verbosity"] > 0:
                self.stdout.write(f"{path.relative_to(settings.BASE_DIR)} compiled.")
