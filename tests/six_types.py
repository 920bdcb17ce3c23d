"""Makes a task of each recurrence type that is due at the minute named, in the installation of its
environment; prints {name: id}. `python -m tests.six_types 2026-11-24T12:34`."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import django


def definitions(due: datetime) -> dict[str, tuple[str, dict[str, Any], dict[str, Any]]]:
    """By name: the type, its rule, and whatever else of a task decides when it runs."""
    clock = f"{due:%H:%M}"
    soon = {"every": 10, "unit": "seconds"}
    return {
        "once": ("once", {"run_at": due.isoformat()}, {}),
        "interval": ("interval", soon, {}),
        "daily": ("daily", {"time": clock}, {}),
        "weekly": ("weekly", {"time": clock, "days_of_week": [due.weekday()]}, {}),
        "monthly": ("monthly", {"time": clock, "day_of_month": due.day}, {}),
        "custom": ("custom", {"cron_expression": f"{due.minute} {due.hour} * * *"}, {}),
        # What no crontab and no interval says: armed anew for each occurrence.
        "armed": ("interval", soon, {"end_at": (due + timedelta(days=1)).isoformat()}),
    }


def main(moment: str) -> None:
    django.setup()
    from django.contrib.auth.models import User

    from devices.models import DeviceGroup
    from scheduling import schedules

    user, group = User.objects.get(), DeviceGroup.objects.create(name="Nobody")
    made = {}
    for name, (kind, config, more) in definitions(datetime.fromisoformat(moment)).items():
        task = schedules.create(
            user,
            {
                "name": name,
                "task_type": "command",
                "task_payload": {"command": "true"},
                "group_ids": [str(group.pk)],
                "recurrence_type": kind,
                "recurrence_config": config,
                **more,
            },
        )
        made[name] = str(task.pk)
    sys.stdout.write(json.dumps(made))


if __name__ == "__main__":
    main(datetime.fromisoformat(sys.argv[1]).replace(tzinfo=UTC).isoformat())
