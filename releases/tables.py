"""What `releases`, `ps` and `status` show: hosts as surveyed → rows."""

from collections.abc import Iterable, Mapping

from .ailing import ailments
from .canary import Canary, waiting
from .errors import ReleaseError
from .facts import Running
from .history import Event
from .holder import Holder
from .layout import Release
from .surveyed import Surveyed
from .targets import Target
from .together import behind
from .traffic import NONE, Traffic

Row = Mapping[str, str]


def releases(host: Surveyed) -> tuple[Row, ...]:
    """One row for each release on the host, newest deploy first."""
    facts, history = host.facts, host.facts.history
    sizes = {name: count for name, _, count in (line.partition(" ") for line in facts.answer.all("size"))}
    order = {r: i for i, r in enumerate(history.proven)}
    ordered = sorted(facts.complete, key=lambda r: (order.get(r, -1), r.name), reverse=True)
    rows = []
    for release in ordered:
        first = history.first_deploy(release)
        rows.append(
            {
                "host": host.name,
                "release": release.name,
                "revision": str(first.get("revision", ""))[:12],
                "subject": str(first.get("subject", ""))[:40],
                "by": str(first.get("by", "")),
                "at": str(history.live_since(release).get("at") or first.get("at", "")),
                "state": state(host, release),
                "size": sizes.get(release.name, ""),
            }
        )
    debris = [{"host": host.name, "release": name, "state": "incomplete"} for name in facts.debris]
    return (*rows, *debris)


def state(host: Surveyed, release: Release) -> str:
    """In words: live, proven, bad, pinned, or never proven: ready (its canary waits elsewhere), or failed."""
    facts = host.facts
    words = [
        "live" if release == facts.live else "",
        _proven(host, release),
        "pinned" if release in facts.pins else "",
        "rollback target" if release == facts.target else "",
    ]
    return ", ".join(filter(None, words))


def _proven(host: Surveyed, release: Release) -> str:
    history = host.facts.history
    if release in history.bad:
        return "bad"
    unproven = "ready" if release.name == history.canary.get("release") else "failed"
    return "proven" if release in history.proven else unproven


def processes(host: Surveyed) -> tuple[Row, ...]:
    """One row for each process that has to do with a release, new beside old; ``*`` marks what gets new work."""
    rows = []
    for running in sorted(host.facts.running, key=lambda p: (str(_release(host, p)), p.pid)):
        owner = next((kind for kind in host.kinds if kind.owns(running, host.facts)), None)
        release = _release(host, running)
        rows.append(
            {
                "host": host.name,
                "process": owner.name if owner else "-",
                "pid": str(running.pid),
                "command": running.command,
                "release": str(release or "?"),
                "age": age(running.age_s),
                "traffic": "*" if owner and owner.accepts(running, host.facts) else "",
                "unit": "" if running.unit == "-" else running.unit,
            }
        )
    return tuple(rows)


def _release(host: Surveyed, running: Running) -> Release | None:
    return running.release or (next(iter(running.uses)) if len(running.uses) == 1 else None)


def statuses(hosts: tuple[Surveyed, ...], traffic: Mapping[str, Traffic]) -> tuple[Row, ...]:
    """One line for each host, with what shows only beside the others, and *traffic*: what balancers say of some."""
    canary = waiting(hosts)
    late = {} if canary else behind(hosts)
    said = {host.name: traffic.get(host.name, NONE) for host in hosts}
    return tuple(status(host, canary, late.get(host.name, ""), said[host.name]) for host in hosts)


def status(host: Surveyed, canary: Canary | None = None, note: str = "", traffic: Traffic = NONE) -> Row:
    """One line for one host; *note* is what others tell of it, *canary* what waits on some host of the fleet."""
    facts = host.facts
    unfinished, outcome = facts.history.unfinished, facts.history.outcome
    notes = [
        note,
        str(host.root_problem() or host.app_problem() or ""),
        f"locked by {Holder.parse(facts.holder)}" if facts.locked else "",
        _unfinished(host),
        canary.on(host) if canary else "",
        "" if unfinished or outcome.get("event") != "failed" else _failed(host, outcome),
        "" if unfinished or outcome.get("event") != "reverted" else f"{_named(outcome)} was {_taken_back(outcome)}",
        *(f"the switch of deploy {number} waits to be settled" for number in facts.armed if not facts.locked),
        f"out of rotation since deploy {facts.drained}: {host.way_back}" if facts.drained and not facts.locked else "",
        traffic.note,
        f"confirmed, and what was replaced was not told to stop yet: {', '.join(facts.confirmed)}"
        if facts.confirmed and not facts.locked
        else "",
        *map(str, ailments(host)),
        f"current points to {facts.live_text}, which is none of our releases"
        if facts.live_text and not facts.live
        else "",
        "current is not a link" if facts.live_kind == "other" else "",
    ]
    return {
        "host": host.name,
        "live": str(facts.live or "nothing"),
        "since": str(facts.history.live_since(facts.live).get("at", "")) if facts.live else "",
        "balancer": traffic.state,
        "note": "; ".join(note for note in notes if note),
    }


def _unfinished(host: Surveyed) -> str:
    """A deploy that has not ended is at work while it holds the lock; else it was interrupted, and did not switch.

    Of one that was confirmed a full disk may have taken no line: it did switch, and is told of as confirmed.
    """
    last = host.facts.history.unfinished
    if not last:
        return ""
    what = f"{_named(last)} of {last.get('release')}"
    if host.facts.locked:
        return f"{what} is at work"
    return "" if str(last["deploy"]) in host.facts.confirmed else f"{what} was interrupted"


def _taken_back(event: Event) -> str:
    """The journal has the exit code of the script that did it."""
    return "taken back in part" if event.get("code") else "taken back"


def _named(event: Event) -> str:
    if event.get("verb") == "already_live":  # no deploy: it has no number
        return "the proof of what was live already"
    verb = str(event.get("verb", "deploy"))
    return f"{_VERBS.get(verb, verb)} {event['deploy']}"


def _failed(host: Surveyed, event: Event) -> str:
    """What failed, and why; what it has left is there to be looked at."""
    release = Release.parse(str(event.get("release", "")))
    left = release and release in host.facts.complete and _proven(host, release) == "failed"
    pruned = f"; {release} is kept until the next deploy, or `inv prune`" if left else ""
    return f"{_named(event)} failed: {event.get('why')}{pruned}"


_VERBS = {"promote": "promotion", "abort": "abort of canary", "migrate": "migration"}


def whole(
    rows: Iterable[Row], targets: Iterable[Target], unreached: Mapping[str, ReleaseError], **unknown: str
) -> tuple[Row, ...]:
    """*rows* in the order of *targets*, with one for each that could not be reached; *unknown*: what it has else."""
    why = {name: str(error).removeprefix(f"{name}: ") for name, error in unreached.items()}
    lacking = [{"host": name, **unknown, "note": f"cannot be reached: {said}"} for name, said in why.items()]
    order = [target.name for target in targets]
    return tuple(sorted((*rows, *lacking), key=lambda row: order.index(row["host"])))


def age(seconds: int) -> str:
    """Seconds as people say them.

    >>> age(59), age(3700), age(200_000)
    ('59 s', '1 h 1 min', '2 d 7 h')
    """
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 60:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{days} d {hours % 24} h"


def text(rows: Iterable[Row], *, empty: str) -> str:
    """Rows as a table in plain columns; columns with nothing in them are left out."""
    rows = tuple(rows)
    if not rows:
        return empty
    names = [name for name in dict.fromkeys(key for row in rows for key in row) if any(row.get(name) for row in rows)]
    widths = {name: max(len(name), *(len(row.get(name, "")) for row in rows)) for name in names}
    lines = [names, *([row.get(name, "") for name in names] for row in rows)]
    return "\n".join(
        "  ".join(f"{v:<{widths[n]}}" for n, v in zip(names, line, strict=True)).rstrip() for line in lines
    )
