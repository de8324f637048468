"""A command on a terminal of its own: what it shows there, and keys that are pressed."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
from typing import Any

from tests.app import App, until

OWN = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
CTRL_C = b"\x03"
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


class Terminal:
    """``switchover WORDS`` on a terminal of 24 lines; a context manager that ends it."""

    def __init__(self, app: App, *words: str) -> None:
        self._keys, self._tty = pty.openpty()
        fcntl.ioctl(self._tty, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        self._before: Any = termios.tcgetattr(self._tty)
        self._seen = bytearray()
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWN, sys.executable, "-m", "releases", *words],
            cwd=app.folder,
            env={**app.environ, "TERM": "xterm"},
            stdin=self._tty,
            stdout=self._tty,
            stderr=self._tty,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._tty)
        self._reader.join(10)
        os.close(self._keys)

    @property
    def screen(self) -> str:
        """All that was written to it."""
        return self._seen.decode(errors="replace")

    @property
    def is_as_it_was(self) -> bool:
        """Has it its cursor and its modes?"""
        same = termios.tcgetattr(self._tty) == self._before
        return same and self.screen.rfind(SHOW) >= self.screen.rfind(HIDE)

    def until(self, text: str) -> None:
        """Wait until it shows *text*."""
        until(lambda: text in self.screen, what=f"{text!r} on the terminal")

    def press(self, keys: bytes) -> None:
        """As a person does."""
        os.write(self._keys, keys)

    def end(self) -> int:
        """Wait for its end, and tell its exit code."""
        return self.process.wait(60)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._keys, 1 << 16)
            except OSError:  # nobody has it open any more
                return
            self._seen += data
