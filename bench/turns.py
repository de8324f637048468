"""Every round trip of a deploy, and what it is for: read from a real one."""

import json
import sys
from typing import Any

from bench.figures import Figure, table, targets
from bench.lean import FAR_S, project
from bench.subjects import REPOSITORY, Ours

# What each wait is for, and how many round trips it is made of where they cannot be counted from outside.
CONNECT = (
    "TCP",
    "the greetings of both sides, and behind them which algorithms",
    "the keys of the connection",
    "the service",
    "who we are",
)
SENT = (
    "the files that are new, in one stream; its channel was opened while stage ran, and what follows is sent behind it"
)
FOR = {
    "begin": "the deploy is in the journal before it changes anything",
    "stage": "debris is gone, and what would be linked from is there",
    "check": "every byte of the release is what was built",
    "seal": "it is read-only and on the disk; from here on it is a release",
    "verify": "what is gone back to is what was built",
    "arm": "how the switch is taken back is on the disk before it is made",
    "publish": "current is renamed",
    "prove": "current leads to the release, every process runs it, health answers",
    "settled": "and still does",
    "confirm": "the switch is not taken back any more; the journal says live",
    "finish": "what was replaced is told to stop, the process that waited for the lock is gone",
    "prune": "what nothing needs is removed",
    "settle": "who holds the lock; what a dead deploy left is settled",
    "survey": "what is true on the host: the plan is made of it",
}


def recorded(shop: Ours, *words: str) -> list[dict[str, Any]]:
    """The waits of one command."""
    file = shop.project.folder.parent / "waits"
    file.unlink(missing_ok=True)
    Ours(shop.project, program=(sys.executable, str(REPOSITORY / "bench" / "recorded.py"), str(file))).command(*words)
    return [json.loads(line) for line in file.read_text().splitlines()]


def listed(waits: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Each round trip: what goes over the line, and what for."""
    trips = [("connect", what) for what in CONNECT]
    session = [w["what"] for w in waits if w["kind"] == "step"]
    trips.append(("channel", "a channel for the session"))
    trips.append(("session", "; ".join(f"{name}: {FOR[name]}" for name in ("settle", "survey"))))
    left = [name for name in session if name not in ("settle", "survey")]
    order = [w for w in waits if w["kind"] in ("together", "step", "payload")]
    for wait in sorted(order, key=lambda w: w["at"]):
        if wait["kind"] == "together" and (count := int(wait["what"])):
            names, left = left[:count], left[count:]
            trips.append((", ".join(names), "; ".join(FOR.get(name, "") for name in names)))
        elif wait["kind"] == "payload":
            trips.append(("send", SENT))
        elif wait["what"] in left[:1]:
            trips.append((left.pop(0), FOR.get(wait["what"], "")))
    if any(wait["kind"] == "end" and wait["s"] > FAR_S / 2 for wait in waits):
        trips.append(("end", "the lock is free when the command has ended"))
    return trips


def section() -> str:
    """Counted in the log of sshd, and listed from the record."""
    with project(FAR_S) as (shop, site):
        ours = Ours(shop)
        ours.ready()
        ours.deploy()
        site.change()
        connections, channels = shop.sshd.connections(), shop.sshd.sessions()
        waits = recorded(ours, "deploy")
        connections, channels = shop.sshd.connections() - connections, shop.sshd.sessions() - channels
        back = listed(recorded(ours, "rollback"))
    trips = listed(waits)
    figures = [
        Figure("connections of a deploy", 1, connections),
        Figure("channels of a deploy", 8, channels),
    ]
    rows = [(str(number), what, why) for number, (what, why) in enumerate(trips, 1)]
    names = ", ".join(f"`{what}`" for what, _ in back[len(CONNECT) :])
    return (
        f"{targets(figures)}\n\nThe {len(rows)} round trips of a deploy of 20 changed files, as it was recorded:\n\n"
        f"{table(('', 'what', 'what for'), rows)}\n\nA rollback has {len(back)}: the connection, {names}."
    )
