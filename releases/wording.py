"""How a mistake reads: its place, a value that is safe to show, the nearest right spelling."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

Loc = tuple[str | int, ...]

SHOWN_CHARS = 60


def shown(value: Any) -> str:
    """Write *value* in one line of at most 60 characters, without what tables hold and passwords of URLs."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return str(value)[:SHOWN_CHARS]
    text = re.sub(r"(://|:(?!//)).*@", r"\1***@", value, flags=re.DOTALL)
    text = text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 1] + "…"
    return f'"{text}"' if text.isprintable() else repr(text)


def first_line(command: str) -> str:
    """What is shown of a *command*, which may be a script.

    >>> first_line("make"), first_line("\\nset -e\\nmake\\n")
    ('make', 'set -e …')
    """
    first, *more = command.strip().splitlines() or [""]
    return f"{first} …" if more else first


def nearest(word: str, known: Sequence[str]) -> str:
    """Ask for the right spelling of *word* when one of *known* is near, else nothing."""
    near = get_close_matches(word, known, n=1)
    return f'; did you mean "{near[0]}"?' if near else ""


def dotted(loc: Loc) -> str:
    """Write a place the way TOML does: ``processes.web.listen``, ``build.exclude[0]``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{quoted(part)}" for part in loc)
    return "".join(parts).removeprefix(".")


def quoted(part: str) -> str:
    """Quote a key that is not bare, and shorten a long one."""
    return part if re.fullmatch(rf"[A-Za-z0-9_-]{{1,{SHOWN_CHARS}}}", part) else shown(part)


def mistake(place: str, expected: str, found: str) -> str:
    """Write one mistake as one line."""
    return f"{place}: expected {expected}, found {found}"
