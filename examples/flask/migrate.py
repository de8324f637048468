"""Migrations of an SQLite file: ``pending``, ``expand`` and ``contract`` over migrations/NNNN_name.PHASE.sql.

`expand` runs what is pending up to the first contract migration, which only `contract` runs. Each runs in one
transaction together with the line that says it did; running a command twice changes nothing.
"""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from guestbook import DATABASE, HERE

MADE = "CREATE TABLE IF NOT EXISTS migration (name TEXT PRIMARY KEY, ran_at TEXT DEFAULT CURRENT_TIMESTAMP)"


def pending(database: sqlite3.Connection) -> Iterator[tuple[str, str, Path]]:
    """Phase, name and file of each migration that did not run, in order."""
    done = {name for (name,) in database.execute("SELECT name FROM migration")}
    for file in sorted((HERE / "migrations").glob("[0-9]*.sql")):
        name, phase, _ = file.name.split(".")
        if phase not in ("expand", "contract"):
            raise SystemExit(f"{file.name}: not NNNN_name.expand.sql or NNNN_name.contract.sql")
        if name not in done:
            yield phase, name, file


def run(database: sqlite3.Connection, wanted: str) -> None:
    for phase, name, file in list(pending(database)):
        if phase != wanted:
            return
        print(phase, name)
        try:
            database.executescript(
                f"BEGIN IMMEDIATE;\n{file.read_text()}\n;INSERT INTO migration (name) VALUES ('{name}');\nCOMMIT;"
            )
        except sqlite3.Error as error:
            raise SystemExit(f"{file.name}: {error}") from error


def main(command: str = "") -> None:
    if command not in ("pending", "expand", "contract"):
        raise SystemExit("usage: migrate.py pending | expand | contract")
    with closing(sqlite3.connect(DATABASE, timeout=30, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")  # readers go on while a migration writes
        database.execute(MADE)
        if command != "pending":
            run(database, command)
            return
        for phase, name, _ in pending(database):
            print(phase, name)


if __name__ == "__main__":
    main(*sys.argv[1:2])
