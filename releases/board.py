"""What a terminal shows of a fleet at work: events and a clock in, lines of text out."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

from .size import size
from .tables import age

QUIET_S = 20.0  # a host that has said nothing for so long is shown among those in trouble
BAR = 20


class State(IntEnum):
    """How a host is, who most needs to be looked at first."""

    FAILED = 1
    QUIET = 2
    WORKS = 3
    WAITS = 4


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the board, and how the host in it is."""

    text: str
    state: State


@dataclass(frozen=True, slots=True)
class Row:
    """One host: what it does since *since_s*, when it was last heard, and how many bytes it was sent."""

    name: str
    phase: str = ""
    step: str = ""
    works: bool = False
    failed: bool = False
    since_s: float = 0.0
    heard_s: float = 0.0
    done: int = 0
    total: int = 0

    def state(self, now_s: float) -> State:
        """Quiet is who works and says nothing; who waits for the others has nothing to say."""
        if self.failed:
            return State.FAILED
        if not self.works:
            return State.WAITS
        return State.QUIET if now_s - self.heard_s >= QUIET_S else State.WORKS

    def doing(self, now_s: float) -> str:
        """The step, and how much of what is sent has been."""
        if self.failed:
            return f"{self.step} failed"
        if not self.works:
            return "waits"
        return f"{self.step}  {self._progress(now_s)}".rstrip()

    def _progress(self, now_s: float) -> str:
        if not self.total:
            return ""
        share, took_s = min(1.0, self.done / self.total), now_s - self.since_s
        full = round(share * BAR)
        rate = self.done / took_s if took_s > 0 else 0.0
        speed = f", {size(round(rate))}/s" if rate else ""
        left = f", {age(round((self.total - self.done) / rate))} left" if rate and share < 1 else ""
        return f"{'━' * full}{'─' * (BAR - full)} {share:4.0%} of {size(self.total)}{speed}{left}"


@dataclass(frozen=True, slots=True)
class Board:
    """All hosts, in the order in which they were first heard of; every event makes a new one.

    >>> board = Board().began("web1", "switch", "prove", 1.0).began("web2", "switch", "arm", 1.0).ended("web2", 2.0)
    >>> for line in board.lines(4.0, width=60, height=24):
    ...     print(line.text)
    web1  switch  prove                                      3 s
    web2  switch  waits                                      2 s
    """

    rows: Mapping[str, Row] = field(default_factory=dict)

    def began(self, name: str, phase: str, step: str, at_s: float) -> "Board":
        """A host has begun a step."""
        return self._with(Row(name, phase, step, works=True, since_s=at_s, heard_s=at_s))

    def ended(self, name: str, at_s: float) -> "Board":
        """It is done, and waits until it hears of the next."""
        return self._with(replace(self._row(name), works=False, heard_s=at_s))

    def failed(self, name: str, at_s: float) -> "Board":
        """It could not be done."""
        return self._with(replace(self._row(name), works=False, failed=True, heard_s=at_s))

    def heard(self, name: str, at_s: float) -> "Board":
        """A host said something; one that has no step yet is none of ours."""
        return self._with(replace(self.rows[name], heard_s=at_s)) if name in self.rows else self

    def sent(self, name: str, done: int, total: int, at_s: float) -> "Board":
        """So many bytes of so many are on their way."""
        return self._with(replace(self._row(name), done=done, total=total, heard_s=at_s))

    def lines(self, now_s: float, *, width: int, height: int) -> tuple[Line, ...]:
        """At most *height* lines: all hosts in their order, or those that matter most and a count of the rest."""
        rows = tuple(self.rows.values())
        if len(rows) <= height:
            return _aligned(rows, now_s, width)
        ordered = sorted(rows, key=lambda row: row.state(now_s))
        shown, rest = ordered[: max(height - 1, 0)], ordered[max(height - 1, 0) :]
        return (*_aligned(tuple(shown), now_s, width), Line(_counted(rest, now_s)[:width], State.WAITS))

    def _row(self, name: str) -> Row:
        return self.rows.get(name) or Row(name)

    def _with(self, row: Row) -> "Board":
        return Board({**self.rows, row.name: row})


def _aligned(rows: tuple[Row, ...], now_s: float, width: int) -> tuple[Line, ...]:
    """Rows as columns; the age of the last word ends at the right edge, and gives way to nothing."""
    names = [shortened(row.name, max(width // 3, 8)) for row in rows]
    wide, phases = (max(map(len, words), default=0) for words in (names, [row.phase for row in rows]))
    lines = []
    for row, name in zip(rows, names, strict=True):
        ago = age(max(0, int(now_s - row.heard_s)))
        left = f"{name:<{wide}}  {row.phase:<{phases}}  {row.doing(now_s)}"[: max(0, width - len(ago) - 2)]
        lines.append(Line(f"{left:<{max(0, width - len(ago))}}{ago}", row.state(now_s)))
    return tuple(lines)


def _counted(rows: list[Row], now_s: float) -> str:
    """Those that no line is left for."""
    states = [row.state(now_s) for row in rows]
    words = {State.FAILED: "failed", State.QUIET: "silent", State.WORKS: "at work", State.WAITS: "waiting"}
    said = [f"{states.count(state)} {word}" for state, word in words.items() if state in states]
    return f"and {len(rows)} more: {', '.join(said)}"


def shortened(name: str, room: int) -> str:
    """A name in at most *room* characters: hosts differ at either end.

    >>> shortened("web1", 8), shortened("web12.shop.example.com:2222", 13)
    ('web1', 'web12.…m:2222')
    """
    return name if len(name) <= room else f"{name[: room // 2]}…{name[len(name) - (room - room // 2 - 1) :]}"
