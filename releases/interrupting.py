"""Ctrl-C during the switch: what is asked, and what an answer means."""

import signal
import threading
from enum import Enum
from typing import Any

from .errors import ReleaseError

QUESTION = "interrupted: the step that runs is finished. Go on, or take back? [g/T] (Ctrl-C again: take back at once)"


class Interrupted(ReleaseError):
    """Ctrl-C, or the end of the CI job."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: as Ctrl-C, but nobody is there to be asked."""


_HEARD: dict[int, Any] = {}  # what a signal did before we became deaf to it


def deafen() -> None:
    """Hear no Ctrl-C and no SIGTERM any more: how it ended is known, and has only to be told as it is."""
    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.signal(number, signal.SIG_IGN)
        _HEARD.setdefault(number, before)


def listen() -> None:
    """Hear them again."""
    while _HEARD:
        signal.signal(*_HEARD.popitem())


def pressed(error: RuntimeError) -> KeyboardInterrupt | None:
    """The Ctrl-C of which *error* is all that `threading` has left; None where it is another.

    What waits for an event gives its lock away and takes it again. Where Ctrl-C comes in that moment, threading gives
    back a lock that it has not.
    """
    return error.__context__ if isinstance(error.__context__, KeyboardInterrupt) else None


def waited(event: threading.Event, timeout_s: float) -> bool:
    """`Event.wait` for who hears Ctrl-C: whenever it comes, it is one."""
    try:
        return event.wait(timeout_s)
    except RuntimeError as error:
        raise pressed(error) or error from None


class Choice(Enum):
    """What becomes of a switch that somebody interrupted."""

    GO_ON = "going on"
    TAKE_BACK = "the step that runs is finished, then all is taken back (again: at once)"
    AT_ONCE = "all is taken back at once"


def chosen(line: str) -> Choice | None:
    """What somebody who was asked has typed; None when that is no answer, and the end of the input takes back.

    >>> [choice and choice.name for choice in map(chosen, ("g\\n", "\\n", "what?\\n", ""))]
    ['GO_ON', 'TAKE_BACK', None, 'TAKE_BACK']
    """
    word = line.strip().lower()
    if word in ("g", "go", "go on"):
        return Choice.GO_ON
    return Choice.TAKE_BACK if word in ("", "t", "take back") else None
