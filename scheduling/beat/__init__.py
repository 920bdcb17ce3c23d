"""The only place that knows django-celery-beat: the mirror of tasks, and our scheduler."""

from scheduling.beat.scheduler import FleetScheduler

__all__ = ["FleetScheduler"]
