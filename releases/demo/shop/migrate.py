"""Migrations of an SQLite file: ``pending`` lists, ``expand`` runs migrations/NNNN_name.expand.sql."""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(command: str) -> None:
    """Run each file once, in one transaction with the line that says so."""
    with closing(sqlite3.connect(HERE / "data" / "shop.sqlite3", timeout=30, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")  # readers go on while a migration writes
        database.execute("CREATE TABLE IF NOT EXISTS migration (name TEXT PRIMARY KEY)")
        done = {name for (name,) in database.execute("SELECT name FROM migration")}
        for file in sorted((HERE / "migrations").glob("*.expand.sql")):
            name = file.name.removesuffix(".expand.sql")
            if name in done:
                continue
            print("expand", name)
            if command == "expand":
                database.executescript(
                    f"BEGIN IMMEDIATE; {file.read_text()}; INSERT INTO migration VALUES ('{name}'); COMMIT;"
                )


if __name__ == "__main__":
    main(sys.argv[1])
