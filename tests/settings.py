"""Settings of the test run: the product's own, on a PostgreSQL and a Valkey that live as long as it.

They start here because pytest-django reads the settings before any conftest. A run that finds
DATABASE_URL and REDIS_URL set, as the workers of xdist do, uses those.
"""

from __future__ import annotations

import atexit
import os
import re
import tempfile

from deployx.embedded.throwaway import Throwaway
from tests import prepared

services = Throwaway(begin=prepared.begin)
if not os.environ.get("DATABASE_URL") or not os.environ.get("REDIS_URL"):
    services.start()
    atexit.register(services.stop)
    os.environ["DATABASE_URL"] = services.database_url
    os.environ["REDIS_URL"] = services.redis_url
    os.environ["DEPLOYX_TEST_TEMPLATE"] = prepared.TEMPLATE
# Each worker of xdist has a Redis database of its own, as it has a PostgreSQL database.
_worker = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or -1) + 1
os.environ["REDIS_URL"] = re.sub(r"db=\d+", f"db={_worker}", os.environ["REDIS_URL"])
os.environ.setdefault("DEPLOYX_SECRET_KEY", "for-the-tests-alone-" + "0123456789" * 4)
os.environ["DEPLOYX_SIGNING_KEY_FILE"] = os.path.join(  # noqa: PTH118
    tempfile.gettempdir(), "deployx-tests-use-a-key-of-their-own"
)
# A web process that a test starts keeps its files where the test does: it ends by a signal, after
# which nobody would tidy up.
if not os.environ.get("DEPLOYX_TEST_FILES_DIR"):
    _files = tempfile.TemporaryDirectory(prefix="deployx-test-files-")
    atexit.register(_files.cleanup)
os.environ["DEPLOYX_FILES_DIR"] = os.environ.get("DEPLOYX_TEST_FILES_DIR") or _files.name

from deployx.settings import *  # noqa: E402, F403
from deployx.translation import compile_stale  # noqa: E402

compile_stale(LOCALE_PATHS[0])  # noqa: F405

# Threads give their connections back when they have done, as those of the web process do to its pool.
DATABASES["default"]["CONN_MAX_AGE"] = 0  # noqa: F405
# Of a server that somebody else named, no database has the tables and nothing in them.
DATABASES["default"]["TEST"] = {"TEMPLATE": os.environ.get("DEPLOYX_TEST_TEMPLATE")}  # noqa: F405
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
