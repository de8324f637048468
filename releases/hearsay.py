"""What journals of other hosts say of the fleet: who made what live, and what a rollback left.

A host that was left out or added later is told, as an event ``elsewhere``. That counts for what is the fleet's (which
release is bad, who deployed it, which came first) and never for what is a host's own: nothing is proven by hearsay.
"""

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .history import Event, History

ELSEWHERE = "elsewhere"
MOST_BYTES = 32_000  # of what is told at once: a step is one line, which has a limit; the rest is told the next time
OF_WHO = ("by", "place", "ci", "revision", "subject", "without")
Identity = tuple[object, ...]


def untold(history: "History", others: "Iterable[History]") -> "tuple[Event, ...]":
    """What *others* know of the fleet and *history* does not, in the order of the deploys."""
    here = {_identity(event) for event in known(history)}
    new = {_identity(event): event for other in others for event in known(other)}
    return tuple(event for identity, event in sorted(new.items(), key=_order) if identity not in here)


def latest(events: "tuple[Event, ...]") -> "tuple[Event, ...]":
    """The last of *events* that can be told at once."""
    room, kept = MOST_BYTES, list["Event"]()
    for event in reversed(events):
        room -= len(json.dumps(event))
        if room < 0:
            break
        kept.append(event)
    return tuple(reversed(kept))


def parted(lines: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """*lines* in one part at least, each of which a step has room for, however they are quoted."""
    parts, room = [list[str]()], MOST_BYTES
    for line in lines:
        size = len(line) + 3 + 4 * line.count("'") + line.count("\\")
        if size > room and parts[-1]:
            parts.append([])
            room = MOST_BYTES
        room -= size
        parts[-1].append(line)
    return tuple(map(tuple, parts))


def known(history: "History") -> "Iterator[Event]":
    """Every switch that *history* has, its own or told, as another host is told of it.

    Keys are not those of a deploy of this host: what no deploy has made here is nothing to prune or to clear away.
    """
    begun = {event.get("deploy"): event for event in reversed(history.events) if event["event"] == "deploy"}
    for event in history.events:
        if event["event"] == ELSEWHERE:
            yield event
        elif event["event"] == "aborted":
            yield {"event": ELSEWHERE, "deploy": event.get("deploy"), "made_live": "", "left": event.get("release", "")}
        elif event["event"] == "live":
            deploy = begun.get(event.get("deploy"), {})
            who = {key: deploy[key] for key in OF_WHO if key in deploy}
            left = event.get("previous", "") if event.get("verb") in ("rollback", "abort") else ""
            told = {key: event[key] for key in ("deploy", "verb", "at") if key in event}
            yield {"event": ELSEWHERE, **told, "made_live": event.get("release", ""), "left": left, **who}


def _identity(event: "Event") -> Identity:
    """The same for the same switch whichever host tells it: clocks and what it replaced may differ."""
    return tuple(str(event.get(key, "")) for key in ("deploy", "verb", "made_live", "left"))


def _order(told: "tuple[Identity, Event]") -> int:
    number = told[1].get("deploy", 0)
    return number if isinstance(number, int) else 0
