"""What a survey of a host answered, parsed: live release, history, lock, space, processes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from .answer import Answer
from .history import History, rollback_target
from .layout import Release


@dataclass(frozen=True, slots=True)
class Running:
    """One process that has to do with a release: *uses* are those it mentions, *release* the one it is of."""

    pid: int
    parent: int
    age_s: int
    unit: str
    command: str
    uses: frozenset[Release]
    release: Release | None

    @classmethod
    def parse(cls, text: str) -> "Running":
        """Read ``pid parent age unit command release,release home``, home being what it was started in."""
        pid, parent, age, unit, command, uses, home = text.split(" ", 6)
        found = {r for word in uses.split(",") if (r := Release.parse(word))}
        return cls(int(pid), int(parent), int(age), unit, command, frozenset(found), Release.parse(home))


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the core decides from. *live_kind* is missing, link, broken (a link to nothing) or other."""

    host: str
    live: Release | None
    live_kind: str
    live_text: str
    complete: tuple[Release, ...]
    debris: tuple[str, ...]
    history: History
    armed: tuple[str, ...]
    confirmed: tuple[str, ...]
    pins: frozenset[Release]
    running: tuple[Running, ...]
    free_bytes: int
    free_inodes: int
    tools: frozenset[str]
    missing: tuple[str, ...]
    uid: int
    holder: str
    locked: bool
    clock_skew_s: float
    answer: Answer

    @classmethod
    def of(cls, host: str, answer: Answer, *, now: datetime) -> "Facts":
        """Read the answer of the survey script, given at *now* on the controller."""
        text = answer.one("live")
        there = answer.number("now")
        return cls(
            host=host,
            live=Release.parse(text.removeprefix("releases/")),
            live_kind=answer.one("live_kind", "missing"),
            live_text=text,
            complete=_releases(answer.all("release")),
            debris=answer.all("debris"),
            history=History.parse(answer.all("journal")),
            armed=answer.all("armed"),
            confirmed=answer.all("confirmed"),
            pins=frozenset(_releases(answer.all("pin"))),
            running=tuple(map(Running.parse, answer.all("process"))),
            free_bytes=answer.number("free_kib") * 1024,
            free_inodes=answer.number("free_inodes"),
            tools=frozenset(answer.all("tool")),
            missing=answer.all("missing"),
            uid=answer.number("uid"),
            holder=answer.one("holder"),
            locked=answer.one("locked") == "1",
            clock_skew_s=there - now.astimezone(UTC).timestamp() if there else 0.0,
            answer=answer,
        )

    @property
    def identity(self) -> str:
        """The same for the same root of the same machine, whatever it is called; empty without a root."""
        return self.answer.one("identity")

    @property
    def machine(self) -> str:
        """Its architecture, as ``uname -m`` says it."""
        return self.answer.one("machine")

    @property
    def drained(self) -> str:
        """The deploy that took the host out of rotation by a command, and has not brought it back; else empty."""
        return self.answer.one("drained")

    @property
    def newest(self) -> Release | None:
        """The complete release that the next one is likest to: the live one, else the one proven last, else any."""
        if self.live in self.complete:
            return self.live
        proven = [r for r in self.history.proven if r in self.complete]
        found = proven or self.complete
        return found[-1] if found else None

    @property
    def target(self) -> Release | None:
        """What a plain rollback goes to."""
        return rollback_target(self.history, self.live, self.complete)

    def same_environment(self, one: Release, other: Release | None) -> bool:
        """Are the ``environment`` files of two releases the same? Not known means no."""
        found = dict(line.split(" ", 1) for line in self.answer.all("environment"))
        return other is not None and found.get(one.name) == found.get(other.name)

    @property
    def in_use(self) -> Mapping[Release, tuple[int, ...]]:
        """The processes that use each release."""
        return {r: tuple(p.pid for p in self.running if r in p.uses) for p in self.running for r in p.uses}


def _releases(names: tuple[str, ...]) -> tuple[Release, ...]:
    return tuple(release for name in names if (release := Release.parse(name)))
