"""Settings, all from the environment; what is wrong there is named, every variable at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from celery.schedules import crontab
from environs import Env

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env(eager=False)
DEBUG: bool = env.bool("DEPLOYX_DEBUG", False)
SECRET_KEY: str = env.str("DEPLOYX_SECRET_KEY", "development-only-" + "x" * 50)
ALLOWED_HOSTS: list[str] = env.list("DEPLOYX_ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
DATABASE_URL: dict[str, Any] = env.dj_db_url("DATABASE_URL", "postgresql:///deployx")
DATABASE_POOL: int = env.int("DEPLOYX_DATABASE_POOL", 0)
REDIS_URL: str = env.str("REDIS_URL", "redis://127.0.0.1:6379/0")
DEPLOYX_PUBLIC_URL: str = env.str("DEPLOYX_PUBLIC_URL", "http://127.0.0.1:8000")
DEPLOYX_SIGNING_KEY_FILE: Path = env.path(
    "DEPLOYX_SIGNING_KEY_FILE", BASE_DIR / ".deployx" / "keys" / "signing.key"
)
DEPLOYX_RECONCILE: bool = env.str("DEPLOYX_RECONCILE", "on") == "on"
DEPLOYX_RECONCILE_SECONDS: float = env.float("DEPLOYX_RECONCILE_SECONDS", 15.0)
DEPLOYX_HEARTBEAT_SECONDS: float = env.float("DEPLOYX_HEARTBEAT_SECONDS", 20.0)
DEPLOYX_POLL_SECONDS: float = env.float("DEPLOYX_POLL_SECONDS", 60.0)
DEPLOYX_RUNS_PER_DEVICE: int = env.int("DEPLOYX_RUNS_PER_DEVICE", 4)
DEPLOYX_OUTPUT_BYTES_PER_RUN: int = env.int("DEPLOYX_OUTPUT_BYTES_PER_RUN", 10 * 1024 * 1024)
DEPLOYX_OUTPUT_HEAD_BYTES: int = env.int("DEPLOYX_OUTPUT_HEAD_BYTES", 1024 * 1024)
DEPLOYX_KEEP_OUTPUT_DAYS: int = env.int("DEPLOYX_KEEP_OUTPUT_DAYS", 30)
DEPLOYX_KEEP_HISTORY_DAYS: int = env.int("DEPLOYX_KEEP_HISTORY_DAYS", 400)
DEPLOYX_KEEP_RESULTS_DAYS: int = env.int("DEPLOYX_KEEP_RESULTS_DAYS", 7)
env.seal()

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "django_celery_results",
    "channels",
    "django_htmx",
    "lucide",
    "csp",
    "pgtrigger",
    "accounts",
    "devices",
    "scheduling",
    "deployx",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "deployx.urls"
ASGI_APPLICATION = "deployx.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {
    "default": {
        **DATABASE_URL,
        "ENGINE": "django.db.backends.postgresql",
        # A pool for the web process only: its threads do not survive the fork of a worker's child.
        "CONN_MAX_AGE": 0 if DATABASE_POOL else 60,
        "OPTIONS": {
            **DATABASE_URL.get("OPTIONS", {}),
            **(
                {"pool": {"min_size": 1, "max_size": DATABASE_POOL, "timeout": 5}}
                if DATABASE_POOL
                else {}
            ),
        },
    }
}
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
LOGIN_REDIRECT_URL = "/"
LOGIN_URL = "account_login"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": 60}]},
    }
}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Celery has a name of its own for a Redis behind a socket file.
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://").replace(
    "?db=", "?virtual_host="
)
CELERY_RESULT_BACKEND = "django-db"
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "dispatch"
CELERY_WORKER_DIRECT = True
CELERY_BEAT_SCHEDULE = {
    "deployx.prune": {
        "task": "scheduling.tasks.prune",
        "schedule": crontab(minute="17", hour="3"),
        "options": {"queue": "housekeeping"},
    }
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_DISABLE_PREFETCH = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_timeout": 3,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "scheduling.beat:FleetScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
CELERY_RESULT_EXPIRES = 7 * 86_400

SPECTACULAR_SETTINGS = {
    "TITLE": "DeployX",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
}
