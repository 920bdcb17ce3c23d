from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from deployx.translation import compile_stale, extract, merge


class Command(BaseCommand):
    help = (
        "Brings the catalogues of locale/ up to date with what the source says, and names how much"
        " of each is to be translated; needs no gettext program."
    )
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        messages, folder = extract(settings.BASE_DIR), Path(settings.LOCALE_PATHS[0])
        for path in sorted(folder.glob("*/LC_MESSAGES/django.po")):
            catalogue = merge(messages, path)
            catalogue.save(str(path))
            left = len(catalogue.untranslated_entries())
            place = path.relative_to(settings.BASE_DIR)
            self.stdout.write(f"{place}: {len(catalogue)} texts, {left} to translate.")
        compile_stale(folder)
