"""The journal of a host, read: which releases were proven, in what order, and which are bad."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .hearsay import ELSEWHERE, known
from .layout import Release

Event = Mapping[str, Any]
OF_THE_DATABASE = ("migrating", "migrated", "pending")  # which hosts may share: true for all, whoever has written it

ENDS = ("live", "reverted", "failed", "canary", "promoted", "aborted")  # of a deploy on one host


@dataclass(frozen=True, slots=True)
class History:
    """Events in the order in which they were written; lines that a crash cut short are left out."""

    events: tuple[Event, ...] = ()

    @classmethod
    def parse(cls, lines: Iterable[str]) -> "History":
        """Read journal lines; what is no JSON object with an ``event`` is skipped.

        >>> History.parse(['{"event":"live","deploy":3,"release":"x"}', '{"event":"li']).number
        3
        """
        found = (_object(line) for line in lines)
        return cls(tuple(event for event in found if "event" in event))

    @property
    def number(self) -> int:
        """How many deploys and rollbacks were begun here."""
        return max((_number(event) for event in self.events), default=0)

    @property
    def proven(self) -> tuple[Release, ...]:
        """Every release that was live and proven, oldest switch first, each once, at its latest switch."""
        order: dict[Release, None] = {}
        for event in self._of("live"):
            if release := Release.parse(str(event.get("release", ""))):
                order.pop(release, None)
                order[release] = None
        return tuple(order)

    @property
    def bad(self) -> frozenset[Release]:
        """What a rollback left, here or elsewhere, and a canary that was aborted, unless it was proven again since."""
        marked: set[Release] = set()
        for event in sorted(known(self), key=_number):
            now, left = (Release.parse(str(event.get(key, ""))) for key in ("made_live", "left"))
            marked -= {now} if now else set()
            marked |= {left} if left else set()
        return frozenset(marked)

    @property
    def canary(self) -> Event:
        """The canary that waits, for all that this host has written down itself; empty when none does.

        It is over once somebody has decided, another switch was proven, or a deploy could begin.
        """
        found: Event = {}
        for event in self._of("canary", "promoted", "aborted", "live", "deploy"):
            if event["event"] == "canary":
                found = event
            elif found and _number(event) > _number(found):
                began = event["event"] == "deploy"
                found = found if began and event.get("verb") not in ("deploy", "rollback") else {}
        return found

    def decided(self, number: int) -> bool:
        """Was the canary of deploy *number* promoted or aborted?"""
        return any(event.get("canary") == number for event in self._of("promoted", "aborted"))

    def first_deploy(self, release: Release) -> Event:
        """The event with which *release* was first deployed, here or elsewhere: who, when, revision."""
        return next((e for e in self._begun() if release.name in (e.get("release"), e.get("made_live"))), {})

    def begun(self, number: int) -> Event:
        """The event with which deploy *number* was begun; empty when it was not begun here."""
        return next((e for e in self._of("deploy") if _number(e) == number), {})

    def live_since(self, release: Release) -> Event:
        """The event of the latest switch to *release*."""
        return next((e for e in reversed(self._of("live")) if e.get("release") == release.name), {})

    @property
    def unfinished(self) -> Event:
        """The last deploy that was begun and has neither ended nor been taken back; empty when there is none."""
        last = next(iter(reversed(self._of("deploy"))), {})
        ends = {_number(e) for e in self._of(*ENDS, "done")}
        return last if last and _number(last) not in ends else {}

    @property
    def outcome(self) -> Event:
        """The event with which the last deploy ended."""
        return next(iter(reversed(self._of(*ENDS))), {})

    def ended(self, how: str, number: int) -> Event:
        """The event *how* (live, reverted, failed) of deploy *number*; empty when it did not end so."""
        return next((e for e in self._of(how) if _number(e) == number), {})

    def untold(self, others: "Iterable[History]") -> tuple[Event, ...]:
        """What *others* know of the database that this one does not, in the order of the deploys."""
        here = {_identity(event) for event in self._of(*OF_THE_DATABASE)}
        new = {_identity(e): e for other in others for e in other._of(*OF_THE_DATABASE) if _identity(e) not in here}
        return tuple(sorted(new.values(), key=_number))

    @property
    def migrated(self) -> tuple[Event, ...]:
        """The migrations that ran, and of which phase; of a run that was cut short, all that it was about to run.

        Those of which a later listing says that they still wait are left out.
        """
        found = list[Event]()
        for event in self._of("migrating", "migrated", "pending"):
            if event["event"] == "migrated":
                same = ("deploy", "phase")
                found = [e for e in found if e["event"] == "migrated" or any(e.get(k) != event.get(k) for k in same)]
            if event["event"] != "migrating":
                waiting = set(event.get("left", ()))
                found = [_without(e, waiting) if e["event"] == "migrating" else e for e in found]
            if event["event"] != "pending":
                found.append(event)
        return tuple(event for event in found if event.get("names"))

    def beyond(self, target: Release) -> str:
        """The contract migration that ran and that *target* does not know; empty when there is none.

        A release knows what was run by itself or an older one, and what it listed as pending when it was deployed.
        """
        first = {str(e.get("release", e.get("made_live"))): _number(e) for e in reversed(self._begun())}
        listed = (e for e in self._of("migrated", "pending") if e.get("release") == target.name)
        known = {str(left).removeprefix("contract ") for event in listed for left in event.get("left", ())}
        for event in self.migrated:
            # What was never deployed here is as old as the event that tells of it; such a target is older than all.
            newer = first.get(str(event.get("release")), _number(event)) > first.get(target.name, -1)
            unknown = [str(name) for name in event.get("names", ()) if name not in known]
            if event.get("phase") == "contract" and newer and unknown:
                return unknown[0]
        return ""

    def _begun(self) -> tuple[Event, ...]:
        """Every deploy, in their order, this host's own and those it was told of."""
        return tuple(sorted(self._of("deploy", ELSEWHERE), key=_number))

    def _of(self, *names: str) -> tuple[Event, ...]:
        return tuple(event for event in self.events if event["event"] in names)


def rollback_target(history: History, live: Release | None, complete: Iterable[Release]) -> Release | None:
    """The newest proven release before *live* that is still there and not bad; None when there is none."""
    there = set(complete) - history.bad
    proven = [r for r in history.proven if r != live]
    return next((r for r in reversed(proven) if r in there), None)


def prefix(event: Event) -> str:
    """An event as a journal line without its last brace, so that the host can add the time it has.

    >>> prefix({"event": "live"})
    '{"event":"live"'
    """
    return json.dumps(event, separators=(",", ":"), ensure_ascii=True)[:-1]


def line(event: Event) -> str:
    """A whole event as another host has written it."""
    return json.dumps(event, separators=(",", ":"), ensure_ascii=True)


def _identity(event: Event) -> str:
    """The same for the same event on another host, whose clock may be another."""
    return json.dumps({key: value for key, value in event.items() if key != "at"}, sort_keys=True)


def _without(event: Event, waiting: set[object]) -> Event:
    """What was about to run, less what still waits."""
    phase = event.get("phase")
    return {**event, "names": [name for name in event.get("names", ()) if f"{phase} {name}" not in waiting]}


def _number(event: Event) -> int:
    number = event.get("deploy", 0)
    return number if isinstance(number, int) else 0


def _object(line: str) -> Event:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
