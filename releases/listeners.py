"""stdout and stderr, which whoever reads them may close at any time: that stops nothing and changes nothing."""

import os
import sys
from contextlib import suppress
from typing import IO

UNWRITTEN = 74  # EX_IOERR: what a command ends with that went well, but for its answer


def opened() -> None:
    """Streams that were closed before we began lead nowhere; a connection might get their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  until we end


def written(to: IO[str], text: str) -> str:
    """Write and flush *text*; why that could not be, which is nothing where nobody reads any more.

    After an error the stream leads nowhere: neither the next line nor the end of the interpreter meets it again.
    """
    try:
        to.write(text)
        to.flush()
    except OSError as error:
        _leave(to)
        return "" if isinstance(error, BrokenPipeError) else error.strerror or str(error)
    return ""


def _leave(to: IO[str]) -> None:
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, to.fileno())
        finally:
            os.close(nowhere)
