"""Settings, all from the environment; what is wrong there is named, every variable at once."""

from __future__ import annotations

import os
import zoneinfo
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from celery.schedules import crontab
from environs import Env, validate
from kombu import Exchange, Queue

from deployx import api_settings, logs
from deployx.embedded import discovery

BASE_DIR = Path(__file__).resolve().parent.parent
# What `manage.py up` keeps: data, keys, and where its services are.
DEPLOYX_HOME = Path(os.environ.get("DEPLOYX_HOME") or BASE_DIR / ".deployx").resolve()
# Every node of an installation takes its zones from the tzdata package, so that all agree.
zoneinfo.reset_tzpath(())

env = Env(eager=False)
_running = discovery.Running.read(DEPLOYX_HOME)
# A checkout without addresses of its own uses what `manage.py up` started there.
IS_EMBEDDED: bool = not os.environ.get("DATABASE_URL") or not os.environ.get("REDIS_URL")
DATABASE_URL: dict[str, Any] = env.dj_db_url(
    "DATABASE_URL",
    (_running.database_url if _running else "")
    or f"postgresql://deployx@/deployx?host={DEPLOYX_HOME}/run",
)
REDIS_URL: str = env.str(
    "REDIS_URL",
    (_running.redis_url if _running else "") or f"unix://{DEPLOYX_HOME}/run/valkey.sock?db=0",
)
DEBUG: bool = env.bool("DEPLOYX_DEBUG", False)
SECRET_KEY: str = (
    env.str("DEPLOYX_SECRET_KEY", discovery.secret(DEPLOYX_HOME, "secret.key"))
    if IS_EMBEDDED
    else env.str("DEPLOYX_SECRET_KEY", validate=validate.Length(min=50))
)
DATABASE_POOL: int = env.int("DEPLOYX_DATABASE_POOL", 0)
DEPLOYX_PUBLIC_URL: str = env.str(
    "DEPLOYX_PUBLIC_URL",
    (_running.web_url if _running else "") or "http://127.0.0.1:8000",
    validate=validate.URL(schemes={"http", "https"}, require_tld=False),
)
_public = urlsplit(str(DEPLOYX_PUBLIC_URL))
ALLOWED_HOSTS: list[str] = env.list(
    "DEPLOYX_ALLOWED_HOSTS", [_public.hostname or "", "localhost", "127.0.0.1", "[::1]"]
)
DEPLOYX_BEHIND_PROXY: bool = env.bool("DEPLOYX_BEHIND_PROXY", False)
DEPLOYX_SIGNING_KEY_FILE: Path = env.path(
    "DEPLOYX_SIGNING_KEY_FILE", DEPLOYX_HOME / "keys" / "signing.key"
)
_positive = validate.Range(min=1)
DEPLOYX_RECONCILE: bool = (
    env.str("DEPLOYX_RECONCILE", "on", validate=validate.OneOf(["on", "off"])) == "on"
)
DEPLOYX_RECONCILE_SECONDS: float = env.float(
    "DEPLOYX_RECONCILE_SECONDS", 15.0, validate=validate.Range(min=0.1)
)
# Seldomer, and devices that are there would be called offline and their connections be given up.
DEPLOYX_HEARTBEAT_SECONDS: float = env.float(
    "DEPLOYX_HEARTBEAT_SECONDS", 20.0, validate=validate.Range(min=1, max=20)
)
DEPLOYX_POLL_SECONDS: float = env.float("DEPLOYX_POLL_SECONDS", 60.0, validate=_positive)
DEPLOYX_HANDSHAKES_PER_SECOND: int = env.int(
    "DEPLOYX_HANDSHAKES_PER_SECOND", 300, validate=_positive
)
DEPLOYX_RUNS_PER_DEVICE: int = env.int("DEPLOYX_RUNS_PER_DEVICE", 4, validate=_positive)
DEPLOYX_AGENT_UPDATES_PER_MINUTE: int = env.int(
    "DEPLOYX_AGENT_UPDATES_PER_MINUTE", 60, validate=validate.Range(min=0)
)
DEPLOYX_AGENT_UPDATE_PERCENT: int = env.int(
    "DEPLOYX_AGENT_UPDATE_PERCENT", 0, validate=validate.Range(min=0, max=100)
)
DEPLOYX_OUTPUT_BYTES_PER_RUN: int = env.int(
    "DEPLOYX_OUTPUT_BYTES_PER_RUN", 10 * 1024 * 1024, validate=_positive
)
DEPLOYX_OUTPUT_HEAD_BYTES: int = env.int(
    "DEPLOYX_OUTPUT_HEAD_BYTES", 1024 * 1024, validate=_positive
)
DEPLOYX_OUTPUT_BYTES_PER_EXECUTION: int = env.int(
    "DEPLOYX_OUTPUT_BYTES_PER_EXECUTION", 2 * 1024**3, validate=_positive
)
DEPLOYX_KEEP_OUTPUT_DAYS: int = env.int("DEPLOYX_KEEP_OUTPUT_DAYS", 30, validate=_positive)
DEPLOYX_KEEP_HISTORY_DAYS: int = env.int("DEPLOYX_KEEP_HISTORY_DAYS", 400, validate=_positive)
DEPLOYX_KEEP_RESULTS_DAYS: int = env.int("DEPLOYX_KEEP_RESULTS_DAYS", 7, validate=_positive)
DEPLOYX_KEEP_IDEMPOTENCY_KEYS_DAYS: int = env.int(
    "DEPLOYX_KEEP_IDEMPOTENCY_KEYS_DAYS", 1, validate=_positive
)
DEPLOYX_KEEP_ENROLLMENT_TOKENS_DAYS: int = env.int(
    "DEPLOYX_KEEP_ENROLLMENT_TOKENS_DAYS", 30, validate=_positive
)
DEPLOYX_FILES_DIR: Path = env.path("DEPLOYX_FILES_DIR", DEPLOYX_HOME / "files")
DEPLOYX_FILES_BUCKET: str = env.str("DEPLOYX_FILES_BUCKET", "")
DEPLOYX_FILES_BUCKET_URL: str = env.str("DEPLOYX_FILES_BUCKET_URL", "")
DEPLOYX_FILES_QUOTA_BYTES: int = env.int(
    "DEPLOYX_FILES_QUOTA_BYTES", 100 * 1024**3, validate=_positive
)
DEPLOYX_FILES_FREE_BYTES: int = env.int("DEPLOYX_FILES_FREE_BYTES", 1024**3)
DEPLOYX_UPLOAD_BYTES: int = env.int("DEPLOYX_UPLOAD_BYTES", 5 * 1024**3, validate=_positive)
DEPLOYX_UPLOAD_FORM_BYTES: int = env.int(
    "DEPLOYX_UPLOAD_FORM_BYTES", 100 * 1024**2, validate=_positive
)
DEPLOYX_DOWNLOAD_BYTES_PER_SECOND: int = env.int("DEPLOYX_DOWNLOAD_BYTES_PER_SECOND", 0)
DEPLOYX_ROLLOUT_BYTES_PER_SECOND: int = env.int("DEPLOYX_ROLLOUT_BYTES_PER_SECOND", 0)
# Where nginx serves DEPLOYX_FILES_DIR as an internal location; empty: this process sends the bytes.
DEPLOYX_ACCEL_LOCATION: str = env.str("DEPLOYX_ACCEL_LOCATION", "")
EMAIL_CONFIG: dict[str, Any] = env.dj_email_url("EMAIL_URL", "dummy:")
DEFAULT_FROM_EMAIL: str = env.str("DEPLOYX_MAIL_FROM", "DeployX <deployx@localhost>")
_log_format: str = env.str("DEPLOYX_LOG_FORMAT", "text", validate=validate.OneOf(["text", "json"]))
_log_level: str = env.str(
    "DEPLOYX_LOG_LEVEL", "INFO", validate=validate.OneOf(["DEBUG", "INFO", "WARNING", "ERROR"])
)
env.seal()
LOGGING = logs.configure(as_json=_log_format == "json", level=_log_level)

INSTALLED_APPS = [
    "django.contrib.admin.apps.SimpleAdminConfig",
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
    "accounts.vanishing.Vanishing",
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
# Who holds a lock longer than this was stopped or cut off; what it held is free again. The server
# looks for a client that is gone as well: a lock of a session lasts as long as its connection.
# They hold for web, worker, beat and commands alike: each statement of theirs is about a page or a
# batch, and what was cut off is tried again. `migrate` alone lifts them: it builds indexes.
_SESSION_LIMITS = (
    "-c idle_in_transaction_session_timeout=30s -c lock_timeout=5s -c statement_timeout=30s"
    " -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=4"
    " -c tcp_user_timeout=30s"
)
DATABASES = {
    "default": {
        **DATABASE_URL,
        "ENGINE": "django.db.backends.postgresql",
        # A pool for the web process only: its threads do not survive the fork of a worker's child.
        "CONN_MAX_AGE": 0 if DATABASE_POOL else 60,
        # After a restart of PostgreSQL, no request is answered 503 for a connection that died with it.
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "connect_timeout": 5,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 4,
            "tcp_user_timeout": 30_000,
            "options": _SESSION_LIMITS,
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
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
LOGIN_REDIRECT_URL = "/"
LOGIN_URL = "account_login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
EMAIL_BACKEND = EMAIL_CONFIG["EMAIL_BACKEND"]
EMAIL_HOST = EMAIL_CONFIG["EMAIL_HOST"] or "localhost"
EMAIL_PORT = EMAIL_CONFIG["EMAIL_PORT"] or 25
EMAIL_HOST_USER = EMAIL_CONFIG["EMAIL_HOST_USER"] or ""
EMAIL_HOST_PASSWORD = EMAIL_CONFIG["EMAIL_HOST_PASSWORD"] or ""
EMAIL_USE_TLS = EMAIL_CONFIG["EMAIL_USE_TLS"]
EMAIL_USE_SSL = EMAIL_CONFIG["EMAIL_USE_SSL"]
EMAIL_TIMEOUT = 10

# Everything that only makes sense over TLS follows from the address people use.
_IS_HTTPS = _public.scheme == "https"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = _IS_HTTPS
SESSION_COOKIE_HTTPONLY = True
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 365 * 86_400 if _IS_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _IS_HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_TRUSTED_ORIGINS = [f"{_public.scheme}://{_public.netloc}"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1_200  # 1,000 ticked tasks, and what becomes of them
if DEPLOYX_BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CACHES = {"default": {"BACKEND": "deployx.cache.LenientCache", "LOCATION": REDIS_URL}}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": 60}]},
    }
}

# No inline script or style, nothing from elsewhere; what pages show of others is text, never markup.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "object-src": ["'none'"],
    }
}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
BUCKET_STORE = {
    "BACKEND": "scheduling.catalogue.bucket.Bucket",
    "OPTIONS": {
        "bucket_name": DEPLOYX_FILES_BUCKET,
        "endpoint_url": DEPLOYX_FILES_BUCKET_URL or None,
        "file_overwrite": True,
        "querystring_auth": True,
        "signature_version": "s3v4",
        # What is read of a file is kept on the disk beyond this, not in memory.
        "max_memory_size": 8 * 1024**2,
    },
}
_LOCAL = {
    "BACKEND": "django.core.files.storage.FileSystemStorage",
    "OPTIONS": {"location": DEPLOYX_FILES_DIR},
}
STORAGES = {
    "default": _LOCAL,
    "blobs": BUCKET_STORE if DEPLOYX_FILES_BUCKET else _LOCAL,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
FILE_UPLOAD_HANDLERS = [
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "scheduling.catalogue.arriving.NamelessUploadHandler",
]
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
SERVESTATIC_ALLOW_ALL_ORIGINS = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Celery has a name of its own for a Redis behind a socket file.
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://").replace(
    "?db=", "?virtual_host="
)
CELERY_RESULT_BACKEND = "django-db"
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
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
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_timeout": 3,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 10,
    # Whoever sends comes again by itself: nobody waits for a broker that is away.
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
    "interval_max": 0.1,
}
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 10
CELERY_WORKER_ENABLE_SOFT_SHUTDOWN_ON_IDLE = False
CELERY_TASK_DEFAULT_QUEUE = "dispatch"
CELERY_TASK_ROUTES = {
    "scheduling.tasks.prune": {"queue": "housekeeping"},
    "scheduling.tasks.reconcile": {"queue": "housekeeping"},
}
CELERY_TASK_QUEUES = [
    Queue(name, Exchange(name), routing_key=name)
    for name in ("dispatch", "notifications", "housekeeping")
]
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "scheduling.beat:FleetScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
# `prune` alone deletes them (DEPLOYX_KEEP_RESULTS_DAYS).
CELERY_RESULT_EXPIRES = None

REST_FRAMEWORK = {**api_settings.REST_FRAMEWORK, "NUM_PROXIES": int(DEPLOYX_BEHIND_PROXY)}
SPECTACULAR_SETTINGS = api_settings.SPECTACULAR_SETTINGS
