"""Reads ``current`` all the time: what a client gets there is whole at every instant (P1)."""

import os
import threading
from pathlib import Path

PAUSE_S = 0.005


class Watch:
    """A reader of the site below *root*; *wrong* is what it got that was not one whole release."""

    def __init__(self, root: Path) -> None:
        self.current, self.seen = root / "current", 0
        self.wrong = list[str]()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(PAUSE_S):
            try:
                directory = os.open(self.current, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    found = {_read(directory, name) for name in ("version", "last", "prepared")}
                finally:
                    os.close(directory)
                if len(found) > 1:
                    self.wrong.append(str(found))
            except OSError as error:
                self.wrong.append(str(error))
            self.seen += 1


def _read(directory: int, name: str) -> str:
    with open(os.open(name, os.O_RDONLY, dir_fd=directory)) as file:
        return file.read()
