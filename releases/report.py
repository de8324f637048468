"""What the person sees: plain lines, a live table on a terminal, or one JSON object per line."""

import json
import os
import sys
import termios
import threading
import time
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

from .errors import ReleaseError
from .listeners import written
from .outcome import EXITS, Outcome
from .plan import Plan, Step

if TYPE_CHECKING:
    from .live import Screen


class Report:
    """Answers go to stdout, what happens to stderr; with *as_json* every event is an object on stdout.

    Whoever does not listen any more, or cannot, stops nothing; *lost*: an answer could not be written.
    """

    def __init__(self, *, as_json: bool = False, out: IO[str] | None = None, err: IO[str] | None = None) -> None:
        self.as_json, self.out, self.err = as_json, out or sys.stdout, err or sys.stderr
        self._writing = threading.Lock()
        self._screen: Screen | None = None
        self._ended = self._asking = self._told = self._silent = self.lost = False
        self.last_word: int | None = None  # the exit code of the outcome, once that is said
        self.began = time.monotonic()

    def event(self, name: str, host: str = "", **more: Any) -> None:
        """One thing that happened; seen only with ``--json``."""
        if self.as_json:
            at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            what = {"event": name, "at": at} | ({"host": host} if host else {}) | more
            self._write(self.out, json.dumps(what), last=name == "outcome")

    def say(self, line: str, host: str = "") -> None:
        """A line for people."""
        if self.as_json:
            self.event("said", host, line=line)
            return
        if self._screen:
            self._on_board("heard", host)
        self._write(self.err, f"{host}: {line}" if host else line)

    def answer(self, text: str, **value: Any) -> None:
        """What was asked for: *text* for people, *value* for programs."""
        if self.as_json:
            self.event("answer", **value)
        else:
            self._write(self.out, text)
        self.lost = self._told

    def plan(self, plan: Plan) -> None:
        """The whole plan, before any of it is done."""
        steps = [
            {"host": host, "step": step.label, "says": step.says, "phase": step.phase.name.lower()}
            for host, each in plan.steps.items()
            for step in each
        ]
        self.answer(
            str(plan),
            verb=plan.verb,
            release=str(plan.release or ""),
            notes=list(plan.notes),
            local={when: list(runs) for when, runs in plan.local.items()},
            batches=[list(batch.hosts) for batch in plan.batches],
            holds=list(plan.holds),
            steps=steps,
        )

    def began_step(self, host: str, step: Step) -> None:
        """A step is on its way."""
        self.event("step", host, step=step.label, state="begin")
        if not self.as_json and not self._on_board("began", host, step.phase.name.lower(), step.label):
            self._write(self.err, f"{self._clock()} {host}  {step.label}" + (f"  {step.says}" if step.says else ""))

    def ended_step(self, host: str, step: Step, note: str = "") -> None:
        """It is done, and what it found."""
        self.event("step", host, step=step.label, state="end", note=note)
        self._on_board("ended", host)
        if note and not self.as_json:
            self._write(self.err, f"{self._clock()} {host}  {step.label}  {note}")

    def failed_step(self, host: str, step: Step, why: str) -> None:
        """It could not be done; people hear why with the outcome, which names what went wrong first."""
        self.event("step", host, step=step.label, state="failed", why=why)
        self._on_board("failed", host)

    def sent(self, host: str, done: int, total: int) -> None:
        """So many bytes of so many have been handed to the line."""
        self._on_board("sent", host, done, total)

    @property
    def asks(self) -> bool:
        """Is there somebody who reads, and can answer?"""
        return not self.as_json and self.err.isatty() and sys.stdin.isatty()

    def ask(self, question: str) -> str:
        """The line that is typed in answer, "" when there is none any more; nothing is drawn meanwhile."""
        drawn = self._screen is not None and self._screen.shown
        self._asking = True
        try:
            self.release_terminal()
            self._write(self.err, question)
            termios.tcflush(sys.stdin, termios.TCIFLUSH)  # what was typed before is no answer
            return sys.stdin.readline()
        finally:
            self._asking = False
            if drawn and self._screen:
                with self._writing:
                    self._screen.show()

    def error(self, error: ReleaseError) -> None:
        """One line and a hint; anything we did not raise on purpose is not caught, and shows its traceback."""
        self.release_terminal()
        self.event("error", message=str(error), hint=error.hint)
        if not self.as_json:
            self._write(self.err, f"switchover: {error}" + (f"\n  hint: {error.hint}" if error.hint else ""))

    def outcome(self, outcome: Outcome) -> None:
        """The last word of a command."""
        self.release_terminal()
        self._ended, self.last_word = True, outcome.exit_code
        seconds = outcome.seconds or self._now()
        if self.as_json:
            more: dict[str, Any] = {"hosts": dict(outcome.hosts)} if outcome.hosts or outcome.why else {}
            more |= {"why": outcome.why} if outcome.why else {}
            self.event(
                "outcome",
                outcome=outcome.name,
                exit=outcome.exit_code,
                release=outcome.release,
                seconds=round(seconds, 2),
                **more,
            )
            return
        if outcome.looked:
            if outcome.why:
                self._write(self.err, f"switchover: {outcome.why}")
            return
        alone = outcome.name == "partial" and len(set(outcome.hosts.values())) == 1  # all of them are the same
        words = _WORDS["alone" if alone else outcome.name].format(release=outcome.release)
        self._write(self.err, f"{words} after {seconds:.1f} s" + (f": {outcome.why}" if outcome.why else ""))
        for line in outcome.table if outcome.why or len(outcome.hosts) > 1 else ():
            self._write(self.err, f"  {line}")
        if outcome.hint:
            self._write(self.err, f"  hint: {outcome.hint}")

    def end(self, exit_code: int) -> None:
        """The last word of a command for programs, if it said none itself: what its exit code means."""
        if self.as_json and not self._ended:
            name = next((name for name, code in EXITS.items() if code == exit_code), "refused") if exit_code else "done"
            self.event("outcome", outcome=name, exit=exit_code, release="", seconds=round(self._now(), 2))
            self._ended = True

    def silence(self) -> None:
        """Tell programs nothing any more: somebody else has the last word, and what runs yet must not follow it."""
        self._silent = True

    def release_terminal(self) -> None:
        """Stop drawing until the next step begins, so that somebody else may write there."""
        if self._screen:
            with self._writing:
                self._screen.stop()

    def _on_board(self, what: str, host: str, *more: Any) -> bool:
        """Tell the table what has happened, and draw it once a step begins; False where there is none."""
        if self.as_json or not (self._screen or _may_be_drawn_on(self.err)):
            return False
        with self._writing:
            if not self._screen:
                from .live import Screen

                self._screen = Screen(self.err, self.began)
            self._screen.board = getattr(self._screen.board, what)(host, *more, self._now())
            if what == "began" and not (self._ended or self._asking):
                self._screen.show()
        return True

    def _now(self) -> float:
        return time.monotonic() - self.began

    def _clock(self) -> str:
        return f"{self._now():6.1f}s"

    def _write(self, to: IO[str], text: str, *, last: bool = False) -> None:
        with self._writing:
            if self._silent and self.as_json and to is self.out:
                return
            self._silent = self._silent or last
            if to is self.err and self._screen and self._screen.shown:
                self._screen.say(text.encode("utf-8", "backslashreplace").decode())
                return
            why = written(to, text.encode("utf-8", "backslashreplace").decode() + "\n")
        if why and to is self.out:
            self._told = True
            self._write(self.err, f"switchover: what is said on stdout cannot be written: {why}")


_WORDS = {
    "live": "{release} is live and proven",
    "already_live": "{release} is live already, proven again",
    "done": "done",
    "refused": "refused, nothing was changed",
    "unchanged": "failed, nothing was switched",
    "reverted": "failed, taken back",
    "partial": "hosts differ",
    "alone": "failed, taken back in part",
    "unknown": "the outcome is not known",
    "locked": "locked by another deploy",
}


def _may_be_drawn_on(to: IO[str]) -> bool:
    """Is it a terminal with a cursor to move?"""
    return to.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")
