"""Draws a `Board` at the foot of a terminal, by rich; what it shows is decided there."""

import atexit
import time
from typing import IO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from .board import Board, State

STYLES = {State.FAILED: "bold red", State.QUIET: "yellow", State.WORKS: "", State.WAITS: "dim"}


class Screen:
    """The board on a terminal while it is `shown`; lines that are said scroll by above it."""

    def __init__(self, to: IO[str], began_s: float) -> None:
        self.board, self.began_s = Board(), began_s
        self._console = Console(file=to, force_terminal=True, highlight=False, markup=False, emoji=False)
        self._live: Live | None = None
        atexit.register(self.stop)

    @property
    def shown(self) -> bool:
        """Whether the terminal is being drawn on."""
        return self._live is not None

    def show(self) -> None:
        """Begin to draw."""
        if not self._live:
            self._live = Live(
                console=self._console,
                get_renderable=self._drawn,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
                vertical_overflow="crop",
            )
            self._live.start()

    def say(self, line: str) -> None:
        """A line above the board; what moves a cursor in it is left out."""
        self._console.print(Text.from_ansi(line), soft_wrap=True)

    def stop(self) -> None:
        """Leave the terminal as it was: nothing drawn, and a cursor."""
        live, self._live = self._live, None
        if live:
            try:
                live.stop()
            finally:
                self._console.show_cursor(True)

    def _drawn(self) -> Group:
        width, height = self._console.size
        lines = self.board.lines(time.monotonic() - self.began_s, width=width - 1, height=max(1, height - 2))
        return Group(*(Text(line.text, STYLES[line.state], no_wrap=True, overflow="crop") for line in lines))
