"""The demo's application: a guestbook in SQLite, and every answer names the release that gives it."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent  # the release, not the `current` that names another one tomorrow
DATABASE = HERE / "data" / "shop.sqlite3"
INSERT = "INSERT INTO entry (words) VALUES ('hello')"


def release() -> str:
    """Its name; deployed code never changes, so reading it once is enough."""
    try:
        return str(json.loads((HERE / "RELEASE").read_text())["id"])
    except FileNotFoundError:
        return "not deployed"


RELEASE = release()


def answer(path: str, method: str) -> object:
    """What is asked for."""
    if path == "/slow":
        time.sleep(1)
    with closing(sqlite3.connect(DATABASE, timeout=10)) as database, database:
        if method == "POST":
            database.execute(INSERT)
        return database.execute("SELECT count(*) FROM entry").fetchone()[0]


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """WSGI."""
    try:
        status, found = "200 OK", answer(environ["PATH_INFO"], environ["REQUEST_METHOD"])
    except sqlite3.Error as error:
        status, found = "500 Internal Server Error", str(error)
        print(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}: {error!r}", file=environ["wsgi.errors"])
    body = json.dumps({"release": RELEASE, "entries": found}).encode() + b"\n"
    start_response(
        status,
        [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("X-Release", RELEASE)],
    )
    return [body]
