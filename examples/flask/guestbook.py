"""A guestbook: one page, one table."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from flask import Flask, abort, jsonify, redirect, render_template, request

HERE = Path(__file__).resolve().parent  # the release, not the `current` that names another one tomorrow
DATABASE = Path(os.environ.get("GUESTBOOK_DATABASE", HERE / "data" / "guestbook.sqlite3"))


def release() -> str:
    """The name of the release this code is part of; deployed code never changes, so reading it once is enough."""
    try:
        return str(json.loads((HERE / "RELEASE").read_text())["id"])
    except FileNotFoundError:
        return "not deployed"


RELEASE = release()
app = Flask(__name__)


def database() -> sqlite3.Connection:
    """An open database; never makes an empty one where it is missing."""
    return sqlite3.connect(f"{DATABASE.as_uri()}?mode=rw", uri=True, timeout=5)


@app.get("/")
def entries() -> str:
    with closing(database()) as opened:
        found = opened.execute("SELECT name, words, written_at FROM entry ORDER BY id DESC LIMIT 100").fetchall()
    return render_template("entries.html", entries=found, release=RELEASE)


@app.post("/")
def write():
    name, words = (request.form.get(field, "").strip()[:500] for field in ("name", "words"))
    if not words:
        abort(400, "say something")
    with closing(database()) as opened, opened:
        opened.execute("INSERT INTO entry (name, words) VALUES (?, ?)", (name or "anonymous", words))
    return redirect("/", code=303)


@app.get("/health")
def health():
    """Whether this release can do its work: it answers only when its table does."""
    with closing(database()) as opened:
        opened.execute("SELECT name, words, written_at FROM entry LIMIT 1").fetchall()
    return jsonify(release=RELEASE)
