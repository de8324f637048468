"""What must be true after every turn of a walk, whatever went wrong in it: each finding is one line."""

import json
import re
import signal
from collections.abc import Iterator, Mapping
from typing import Any

from tests.chaos.client import Client
from tests.chaos.host import Host

KNOWN = {"app", "journal.jsonl", "manifests", "lock", "lock.info", "armed", "confirmed", "pins", "rehearsal.log"}
ENDS = ("live", "reverted", "failed")
ASKED = {"SIGINT", "SIGTERM"}


def quiet(host: Host) -> str:
    """What the host still does by itself; empty when it has settled all."""
    if host.locked:
        return "its lock is held"
    if host.armed and not host.orphaned:
        return f"{', '.join(host.armed)} wait to be settled"
    return f"these run: {host.left}" if host.left else ""


def whole(host: Host, *, orphaned: bool) -> Iterator[str]:
    """What is live is whole and proven, runs, and the journal says so; *orphaned*: nobody is there to settle an arm."""
    live = host.live
    if live not in host.complete:
        yield f"{live or 'nothing'} is live, which has no manifest"
        return
    if broken := host.broken(live):
        yield f"{live} is live, and not what was built: {broken}"
    if len(host.version(live)) != 1:
        yield f"{live} is live, and not whole: {host.version(live)}"
    if orphaned:
        return
    in_part = [event for event in host.journal if event["event"] in ENDS][-1].get("code")
    if not in_part and (runs := host.runs()) != [str(host.root / "releases" / live)]:
        yield f"{live} is live, but these run: {runs}"
    proven = [event for event in host.journal if event["event"] == "live"]
    if not proven or proven[-1]["release"] != live:
        yield f"{live} is live, but proven was {proven[-1:]}"


def written(host: Host) -> Iterator[str]:
    """Every line of the journal can be read, unless the disk was full or its writer was killed."""
    for line in host.lines:
        try:
            json.loads(line)
        except ValueError:
            if {"full", "inodes", "process", "shell"} & set(host.suffered):
                host.excused.add(line)
            if line not in host.excused:
                yield f"the journal has a line that is none: {line!r}"


def ended(client: Client) -> Iterator[str]:
    """It said how it ended, once, and meant it."""
    code, by = client.process.returncode, set(client.ended_by)
    if "Traceback" in client.err and not (by & ASKED and not client.events):
        yield f"a traceback: {client.err[-1500:]}"
    if client.odd:
        yield f"not JSON: {client.odd}"
    if "SIGKILL" in by or (by & ASKED and not client.events):
        return
    if client.outcome and code in (-signal.SIGINT, -signal.SIGTERM) and by & ASKED:
        return  # it had said all, and Python was ending
    if not client.outcome:
        yield f"exit {code} without an outcome: {client.err[-500:]} {client.events[-5:]}"
    elif client.outcome["exit"] != code:
        yield f"exit {code}, but it said {client.outcome}"


def truthful(client: Client, hosts: Mapping[str, Host], before: Mapping[str, str]) -> Iterator[str]:
    """Its exit code is true of what came of it; asked of who was alone. *before* is what was live then, by host."""
    code, here = client.process.returncode, [hosts[name] for name in client.hosts]
    ends = {host.name: [e for e in host.events(client.number) if e in ENDS] for host in here if client.number}
    outcome = client.outcome.get("outcome")
    if outcome in ("live", "already_live"):
        yield from (f"0, but {h.live} is live on {h.name}" for h in here if h.live != client.outcome["release"])
    if code in (2, 10, 11, 12, 75) or client.words[0] not in ("deploy", "rollback", "join"):
        yield from (f"{code}, but {h.name} went to {h.live}" for h in here if h.live != before[h.name])
        yield from (f"{code}, but {n} says {e}" for n, e in ends.items() if "live" in e)
    if code == 11 and any("reverted" in e for e in ends.values()):
        yield f"11, but {ends}"
    if code in (1, 70, 74) or (code < 0 and not client.ended_by):
        yield f"exit {code}: {client.err[-500:]}"
    answers = client.words[0] == "status"  # and names them there
    named = client.outcome.get("hosts") or answers or _blamed(client, here)
    if code in (13, 14) and not named and not ASKED & set(client.ended_by):
        yield f"{code} without a word on any host"
    if code == 13:
        yield from _named(client, here)


def _blamed(client: Client, here: list[Host]) -> bool:
    """Is one of them the first word of an error? Then it is what a command of one step knows of them."""
    errors = [event["message"] for event in client.events if event["event"] == "error"]
    return any(error.startswith(f"127.0.0.1:{host.line.port}: ") for error in errors for host in here)


def recorded(client: Client, hosts: Mapping[str, Host]) -> Iterator[str]:
    """What the journals say of its own deploy agrees with its exit code, whoever else was at work."""
    code, plan = client.process.returncode, client.plan
    all_live = client.outcome.get("outcome") == "live" and client.words[0] != "join"
    for host in [hosts[name] for name in client.hosts] if plan.get("release") else []:
        mine = [e for e in host.journal if e.get("deploy") == plan["number"] and e["event"] != "step"]
        begun = [e for e in mine if e["event"] == "deploy" and (e["by"], e["release"]) == (client.who, plan["release"])]
        ends = {e["event"] for e in mine if begun}
        if (
            code == 0
            and all_live
            and begun
            and "live" not in ends
            and str(plan["number"]) not in host.inside("confirmed")
        ):
            yield f"0, but the journal of {host.name} says {mine}"
        denied = {10: {"live", "reverted"}, 11: {"live", "reverted"}, 12: {"live"}, 75: {"live", "reverted"}}
        if denied.get(code, set()) & ends:
            yield f"{code}, but the journal of {host.name} says {mine}"


def _named(client: Client, here: list[Host]) -> Iterator[str]:
    """What it said of each host of a fleet that differs is so, but where it said that it is not settled."""
    said = client.outcome.get("hosts", {})
    for host in here:
        words = next((text for name, text in said.items() if name.endswith(f":{host.line.port}")), "")
        live = re.match(r"live: (\S+?)(,.*)?$", words)
        if live and not live[2] and live[1] != host.live:
            yield f"13, and said {words!r} of {host.name}, where {host.live} is live"


def status(host: Host, row: Mapping[str, Any]) -> Iterator[str]:
    """Its line of `status` says what is live, and what became of the last deploy, and nothing else."""
    if row["live"] != host.live:
        yield f"status says {row['live']}, but {host.live} is live"
    note, events = row["note"], host.journal
    begun = [e for e in events if e["event"] == "deploy"]
    ends = [e for e in events if e["event"] in ENDS]
    wanted = ""
    if begun and not any(e["deploy"] == begun[-1]["deploy"] for e in ends):
        wanted = "" if str(begun[-1]["deploy"]) in host.inside("confirmed") else "was interrupted"
    elif ends:
        wanted = {"reverted": "was taken back", "failed": "failed: "}.get(ends[-1]["event"], "")
    for words in ("was interrupted", "was taken back", "failed: ", "locked by", "is at work"):
        if (words in note) != (words == wanted) and not (wanted and words == "failed: "):
            yield f"status notes {note!r}, but the journal ends with {events[-1]}"
    if host.armed and not re.search("waits to be settled|not told to stop", note):
        yield f"status notes {note!r}, but {host.armed} are there"


def tidy(host: Host) -> Iterator[str]:
    """After a deploy that went well, nothing is left that the journal does not know."""
    known = {event.get("release") for event in host.journal}
    if odd := set(host.releases) ^ set(host.complete) | set(host.complete) - known:
        yield f"these releases are half there, or the journal does not know them: {odd}"
    if odd := [path.name for path in host.root.glob("current.*")]:
        yield f"temporary links: {odd}"
    if odd := host.inside("armed") + host.inside("confirmed"):
        yield f"arms: {odd}"
    if odd := set(host.inside()) - KNOWN:
        yield f"odd files: {odd}"
    if odd := [name for name in host.inside("manifests") if name.startswith(".")]:
        yield f"odd manifests: {odd}"
