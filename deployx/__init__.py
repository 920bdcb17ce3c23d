import atexit
import gc

# What starts makes a million objects and leaves no garbage, and nor do thousands of idle connections:
# measured, a tenth of a start and more, and a third of 10,000 round trips, went into collections that
# found nothing.
gc.set_threshold(50_000, 50, 1_000)
# And a fifth of every command went into looking through all of it once more at its end.
atexit.register(gc.freeze)

from deployx.celery import app as celery_app  # noqa: E402

__all__ = ["celery_app"]
