"""Settings of the web process under the browser's tests: the tests' own, with files of its own."""

from __future__ import annotations

import os

from tests.settings import *  # noqa: F403

STATIC_ROOT = os.environ["DEPLOYX_TEST_STATIC_ROOT"]
DEPLOYX_PUBLIC_URL = os.environ["DEPLOYX_PUBLIC_URL"]
