"""`probe`: a URL watched by a person, in green, red and yellow."""

import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

from rich.console import Console
from rich.markup import escape

from .errors import UsageError
from .figures import Answered, figures
from .probe import watch

EVERY_S = 0.1
COLOURS = {"UP": "green", "DOWN": "red", "UP AND CHANGED": "yellow"}


def show(url: str, *, limit_s: float) -> None:
    """Print a line whenever the state of *url* changes, until Ctrl-C; then the figures."""
    try:
        answers = watch(url, limit_s=limit_s, every_s=EVERY_S)
    except ValueError as error:
        raise UsageError(str(error), hint="like https://www.example.com/health") from error
    console, met = Console(highlight=False), list[Answered]()
    began = time.monotonic()
    with suppress(KeyboardInterrupt):
        _follow(console, answers, met)
    console.print(f"\n{figures(met, began, time.monotonic())}", soft_wrap=True)


def _follow(console: Console, answers: Iterable[tuple[str, Answered]], met: list[Answered]) -> None:
    last = ""
    with console.status("") as status:
        for state, answered in answers:
            met.append(answered)
            status.update(f"{len(met)} asked, {answered.took_s * 1000:.0f} ms")
            if state != last and (state, last) != ("UP", "UP AND CHANGED"):
                more = escape(answered.wrong or answered.release)
                console.print(f"{datetime.now():%H:%M:%S}  [{COLOURS[state]}]{state}[/]  {more}", soft_wrap=True)
            last = state
