"""Whoever uses a site while it is deployed: what ``current`` names is whole at every instant (P1)."""

import os
import threading
from pathlib import Path
from typing import Self


class Looker:
    """A thread that looks again and again, from the beginning of the block to its end."""

    pause_s = 0.005

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def look(self) -> None:
        """Look once."""
        raise NotImplementedError

    def _run(self) -> None:
        while not self._ended.wait(self.pause_s):
            self.look()


class Reader(Looker):
    """Reads a site below *root* whose release says the same in each of three files; *wrong* is what else it got."""

    files = ("version", "last", "prepared")

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.current, self.seen = root / "current", 0
        self.wrong = list[str]()

    def look(self) -> None:
        """Open what ``current`` names, and read the files through that."""
        try:
            directory = os.open(self.current, os.O_RDONLY | os.O_DIRECTORY)
            try:
                found = {_read(directory, name) for name in self.files}
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
