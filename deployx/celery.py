from __future__ import annotations

import os
from typing import Any

from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deployx.settings")
# `make lint` and `manage.py migrate` check; here it would load every page into a beat that has none.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("deployx")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["scheduling"])


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
