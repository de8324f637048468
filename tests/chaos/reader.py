"""Whoever uses a site while it is deployed: looks at ``current`` all the time, and must never miss it (P1)."""

import os
import threading
from pathlib import Path

from tests.chaos import site


class Reader:
    """A thread that opens what ``current`` names, and reads its files through that; a context manager."""

    def __init__(self, root: Path) -> None:
        self.current, self.seen = root / "current", 0
        self.wrong: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Reader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.01):
            try:
                directory = os.open(self.current, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    found = {_read(directory, name) for name in site.FILES}
                finally:
                    os.close(directory)
                if len(found) > 1 or "" in found:
                    self.wrong.append(f"{self.current} is half of one and half of another: {found}")
            except OSError as error:
                self.wrong.append(str(error))
            self.seen += 1


def _read(directory: int, name: str) -> str:
    with open(os.open(name, os.O_RDONLY, dir_fd=directory)) as file:
        return file.read()
