"""A deploy.toml as written: its tables with those it extends, and the line of each key."""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ConfigError, UsageError
from .wording import Loc, dotted, mistake, shown

DEEPEST = 5
PART = r"(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')"
PATH = rf"{PART}(?:\s*\.\s*{PART})*"
HEADER = re.compile(rf"\s*\[\s*({PATH})\s*\]\s*(?:#.*)?")
KEY = re.compile(rf"\s*({PATH})\s*=")
MULTILINE = re.compile(r'"""|' + "'''")


@dataclass(frozen=True, slots=True)
class Document:
    """The tables of the file at *path* over those it extends; *places* has "line 3" or "team.toml line 3" of keys."""

    path: Path
    table: Mapping[str, Any]
    places: Mapping[Loc, str]

    def has(self, loc: Loc) -> bool:
        """Whether something is written at *loc*."""
        return self.depth(loc) == len(loc)

    def depth(self, loc: Loc) -> int:
        """How many leading parts of *loc* are written."""
        value: Any = self.table
        for depth, part in enumerate(loc):
            if not isinstance(value, Mapping) or part not in value:
                return len(loc) if isinstance(part, int) else depth
            value = value[part]
        return len(loc)

    def place(self, loc: Loc) -> str:
        """Write *loc* with the line of its key, or of the table that should have it."""
        loc = self._down_to_value(loc)
        lines = (self.places.get(loc[:length]) for length in range(len(loc), 0, -1))
        line = next((line for line in lines if line), "")
        return f"{dotted(loc)} ({line})" if line else dotted(loc)

    def _down_to_value(self, loc: Loc) -> Loc:
        """Cut *loc* where a plain value stands for a table: ``health = "/health"``."""
        value: Any = self.table
        for depth, part in enumerate(loc):
            value = value.get(part) if isinstance(value, Mapping) else None
            if isinstance(value, str):
                return loc[: depth + 1]
        return loc

    def over(self, base: "Document") -> "Document":
        """Lay these tables over those of *base*."""
        return Document(self.path, overlaid(base.table, self.table), {**base.places, **self.places})


def overlaid(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge tables deeply; *over* wins, and its lists replace."""
    merged = {**base, **over}
    for key in base.keys() & over.keys():
        if isinstance(base[key], Mapping) and isinstance(over[key], Mapping):
            merged[key] = overlaid(base[key], over[key])
    return merged


def read(path: Path) -> Document:
    """Read the file at *path* and what it extends.

    Raises `UsageError` when there is no such file, `ConfigError` when one of them can't be read as TOML.
    """
    if not path.is_file():
        folder = path.absolute().parent
        above = next((place for place in folder.parents if (place / path.name).is_file()), None)
        hint = f"there is one in {above}: run it there" if above else "`switchover init` writes one"
        raise UsageError(f"no {path.name} in {folder}", hint=hint)
    return _inherited(path, path.absolute().parent, (path.resolve(),))


def _inherited(path: Path, folder: Path, chain: tuple[Path, ...]) -> Document:
    document = _parsed(path, folder, is_first=len(chain) == 1)
    if "extends" not in document.table:
        return document
    base = _extended(path, document, chain)
    return document.over(_inherited(base, folder, (*chain, base.resolve())))


def _extended(path: Path, document: Document, chain: tuple[Path, ...]) -> Path:
    """Find the file that *path* extends, or raise why it can't be."""
    written = document.table["extends"]
    base = _beside(path, written)
    if base and base.resolve() in chain:
        expected = "a file that does not extend this one"
    elif len(chain) > DEEPEST:
        expected = f"at most {DEEPEST} files, each extending the next"
    elif not base:
        expected = 'a file, like "../team.toml"'
    else:
        return base
    raise ConfigError(str(path), [mistake(document.place(("extends",)), expected, shown(written))])


def _beside(path: Path, written: Any) -> Path | None:
    """Return the file that *written* names as seen from *path*; None when that is no readable name of one."""
    try:
        base: Path = path.parent / written
        return base if base.is_file() else None
    except (TypeError, ValueError, OSError):
        return None


def _parsed(path: Path, folder: Path, *, is_first: bool) -> Document:
    text = _text(path)
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(str(path), [_syntax(str(error), text)]) from None
    prefix = "" if is_first else f"{os.path.relpath(path.absolute(), folder)} "
    places: dict[Loc, str] = {}
    for loc, number in _keys(text):
        places.setdefault(loc, f"{prefix}line {number}")
    written = Document(path, table, {})
    return Document(path, table, {loc: place for loc, place in places.items() if written.has(loc)})


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), [f"byte {error.start}: expected UTF-8, found another encoding"]) from None


def _syntax(message: str, text: str) -> str:
    """Put the line and column, which tomllib writes last, first."""
    match = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", message, re.DOTALL)
    if match:
        return f"line {match[2]}, column {match[3]}: {match[1]}"
    lines = text.split("\n")
    return f"line {len(lines)}, column {len(lines[-1]) + 1}: {message.removesuffix(' (at end of document)')}"


def _keys(text: str) -> Iterator[tuple[Loc, int]]:
    """Yield the keys that begin a line, and its number: good enough to point at, never used to decide."""
    table: Loc = ()
    is_quoted = False
    for number, line in enumerate(text.split("\n"), start=1):
        if not is_quoted and (header := HEADER.fullmatch(line.rstrip("\r"))):
            table = _parts(header[1])
            yield from _with_parents(table, number)
        elif not is_quoted and (key := KEY.match(line)):
            yield from _with_parents((*table, *_parts(key[1])), number)
        is_quoted ^= len(MULTILINE.findall(line)) % 2 == 1


def _with_parents(loc: Loc, number: int) -> Iterator[tuple[Loc, int]]:
    return ((loc[:length], number) for length in range(1, len(loc) + 1))


def _parts(path: str) -> Loc:
    return tuple(part.strip("\"'") for part in re.findall(PART, path))
