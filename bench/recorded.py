"""Runs a command of ours and writes down every wait for a host: ``python bench/recorded.py FILE WORDS…``

Each line of FILE is one wait: what for, the round trips that it costs when nothing is slow, and the seconds it took.
It looks from outside: sessions, channels and connections are wrapped, and the product knows nothing of it.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import fabric
import paramiko

from releases import bulk, line, session
from releases.__main__ import main
from releases.lines import SEPARATOR


class Record:
    """What was waited for, in order."""

    def __init__(self, file: Path) -> None:
        self.file, self.began = file, time.monotonic()

    def wait(self, kind: str, what: str, began: float) -> None:
        """One wait that has ended."""
        line = {"kind": kind, "what": what, "at": round(began - self.began, 3), "s": round(time.monotonic() - began, 3)}
        with self.file.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def wrap(self, owner: Any, name: str, kind: str, told: Callable[..., str]) -> None:
        """Write down each call of it."""
        real = getattr(owner, name)

        def wrapped(*args: Any, **more: Any) -> Any:
            began = time.monotonic()
            try:
                return real(*args, **more)
            finally:
                self.wait(kind, told(*args, **more), began)

        setattr(owner, name, wrapped)


def _steps(line: bytes) -> int:
    """How many are sent together; 0 where it is one, or none."""
    return len(line.split(SEPARATOR.encode())) if SEPARATOR.encode() in line else 0


def record(file: Path) -> None:
    """Wrap what waits for hosts."""
    kept, Session = Record(file), session.Session  # noqa: N806
    kept.wrap(fabric.Connection, "open", "connect", lambda *_, **__: "connection")
    kept.wrap(paramiko.Transport, "open_session", "channel", lambda *_, **__: "channel")
    kept.wrap(Session, "_ready", "ready", lambda *_: "the shell has started and holds the lock")
    kept.wrap(Session, "_send", "together", lambda _, line: str(_steps(line)))
    kept.wrap(Session, "run", "step", lambda _, name, *__, **___: name)
    kept.wrap(bulk.Bulk, "send", "payload", lambda _, name, *__, **___: name)
    kept.wrap(Session, "end", "end", lambda _: "the lock is free")
    kept.wrap(line, "execute", "exec", lambda *_: "exec")


if __name__ == "__main__":
    record(Path(sys.argv[1]))
    sys.argv = ["switchover", *sys.argv[2:]]
    main()
