from __future__ import annotations

import os
from typing import Any

from celery import Celery, signals
from django.conf import settings
from django.utils.log import configure_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deployx.settings")
# `make lint` and `manage.py migrate` check; here it would load every page into a beat that has none.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("deployx")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["scheduling"])


@signals.setup_logging.connect
def _log_as_all_do(**kwargs: Any) -> None:
    """Celery would give the root logger the level of its --loglevel."""
    configure_logging(settings.LOGGING_CONFIG, settings.LOGGING)


@signals.worker_ready.connect
def _start_worker(sender: Any, **kwargs: Any) -> None:
    from scheduling import processes  # noqa: PLC0415  (Django is set up only now)

    processes.start_worker(sender.hostname)


@signals.beat_init.connect
def _start_beat(**kwargs: Any) -> None:
    from scheduling import processes  # noqa: PLC0415

    processes.start_beat()


@signals.worker_shutting_down.connect
def _stop(**kwargs: Any) -> None:
    from scheduling import processes  # noqa: PLC0415

    processes.stop()
