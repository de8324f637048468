"""Whom a command is going to call, seen at a glance: before deploy.toml is checked, which takes as long as a call."""

from collections.abc import Iterator, Mapping
from typing import Any

from .addresses import CONNECT_S, SILENT_S, Destination, named, split
from .document import Document, overlaid


def early(document: Document, host: str, without: str) -> tuple[Destination, ...]:
    """The destinations that *host* names in *document*, but those of *without*; of what is not plain, none.

    It says nothing of mistakes: who is called here and not meant, as the checked file tells, is let go.
    """
    try:
        tables: Mapping[str, Any] = document.table["hosts"]
        words = _words(host) or list(tables if len(tables) == 1 else ())
        gone = {place for word in _words(without) for place in _called(document, tables, word)}
        found = [place for word in words for place in _called(document, tables, word) if place not in gone]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return ()
    names = [place.name.lower() for place in found]
    return tuple(place for place in found if names.count(place.name.lower()) == 1)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _called(document: Document, tables: Mapping[str, Any], word: str) -> Iterator[Destination]:
    """The hosts of a table, or the one that *word* is the address of."""
    for name in (word,) if word in tables else tables:
        limits = overlaid(document.table, tables[name]).get("connection", {})
        for address in _addresses(tables[name]):
            user, hostname, port = split(address)
            if word in (name, address, named(hostname, port)):
                waits = float(limits.get("connect_s", CONNECT_S)), float(limits.get("silent_s", SILENT_S))
                yield Destination(named(hostname, port), user, hostname, port, *waits)


def _addresses(table: Mapping[str, Any]) -> list[str]:
    ssh = table.get("ssh", [])
    return ssh if isinstance(ssh, list) else [ssh]
