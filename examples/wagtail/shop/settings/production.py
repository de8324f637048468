"""What a deployed release runs with: secrets from .env, everything it writes in data/ and media/ (links to shared/)."""

from pathlib import Path

import dj_database_url

from .base import *
from .base import BASE_DIR, DATABASES, MIDDLEWARE, STORAGES


def dotenv(file: Path) -> dict[str, str]:
    """``NAME=value`` lines; quotes around a value are dropped, lines that start with # are comments."""
    lines = (line.strip().partition("=") for line in file.read_text().splitlines() if not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, equals, value in lines if equals}


ENV = dotenv(BASE_DIR / ".env")

DEBUG = False
SECRET_KEY = ENV["SECRET_KEY"]
# The health checks of a deploy ask from the host itself.
ALLOWED_HOSTS = ["localhost", "127.0.0.1", *filter(None, ENV.get("ALLOWED_HOSTS", "").split(","))]
CSRF_TRUSTED_ORIGINS = list(filter(None, ENV.get("CSRF_TRUSTED_ORIGINS", "").split(",")))
WAGTAILADMIN_BASE_URL = ENV.get("BASE_URL", "http://localhost:8000")

if url := ENV.get("DATABASE_URL"):  # several hosts share one; then [migrations] says run_on = "leader"
    DATABASES["default"] = dj_database_url.parse(url, conn_max_age=60, conn_health_checks=True)
else:
    DATABASES["default"] |= {
        "NAME": BASE_DIR / "data" / "db.sqlite3",
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode = WAL",  # readers go on while a migration writes
        },
    }

# Static files are collected into the release, and served from there.
MIDDLEWARE.insert(1, "whitenoise.middleware.WhiteNoiseMiddleware")
STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
