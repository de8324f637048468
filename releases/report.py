"""What the person sees: plain lines, progress bars on a terminal, or one JSON object per line."""

import json
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import IO, Any

from .errors import ReleaseError
from .outcome import EXITS, Outcome
from .plan import Plan, Step


class Report:
    """Answers go to stdout, what happens to stderr; with *as_json* every event is an object on stdout."""

    def __init__(self, *, as_json: bool = False, out: IO[str] | None = None, err: IO[str] | None = None) -> None:
        self.as_json, self.out, self.err = as_json, out or sys.stdout, err or sys.stderr
        self._writing = threading.Lock()
        self._bar: _Bar | None = None
        self._ended = False
        self.began = time.monotonic()

    def event(self, name: str, host: str = "", **more: Any) -> None:
        """One thing that happened; seen only with ``--json``."""
        if self.as_json:
            at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            self._write(self.out, json.dumps({"event": name, "at": at} | ({"host": host} if host else {}) | more))

    def say(self, line: str, host: str = "") -> None:
        """A line for people."""
        if not self.as_json:
            self._write(self.err, f"{host}: {line}" if host else line)
        else:
            self.event("said", host, line=line)

    def answer(self, text: str, **value: Any) -> None:
        """What was asked for: *text* for people, *value* for programs."""
        if self.as_json:
            self.event("answer", **value)
        else:
            self._write(self.out, text)

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
            steps=steps,
        )

    def began_step(self, host: str, step: Step) -> None:
        """A step is on its way."""
        self.event("step", host, step=step.label, state="begin")
        if not self.as_json:
            self._write(self.err, f"{self._clock()} {host}  {step.label}" + (f"  {step.says}" if step.says else ""))

    def ended_step(self, host: str, step: Step, note: str = "") -> None:
        """It is done, and what it found."""
        self.event("step", host, step=step.label, state="end", note=note)
        if note and not self.as_json:
            self._write(self.err, f"{self._clock()} {host}  {step.label}  {note}")

    def sent(self, host: str, done: int, total: int) -> None:
        """So many bytes of so many have been handed to the line."""
        if not self.as_json and self.err.isatty():
            with self._writing:
                self._bar = self._bar or _Bar(self.err)
                self._bar.show(host, done, total)
                if self._bar.is_full:
                    self._leave_terminal()

    def error(self, error: ReleaseError) -> None:
        """One line and a hint; anything we did not raise on purpose is not caught, and shows its traceback."""
        self.release_terminal()
        self.event("error", message=str(error), hint=error.hint)
        if not self.as_json:
            self._write(self.err, f"switchover: {error}" + (f"\n  hint: {error.hint}" if error.hint else ""))

    def outcome(self, outcome: Outcome) -> None:
        """The last word of a command."""
        self.release_terminal()
        self._ended = True
        seconds = outcome.seconds or self._seconds()
        if self.as_json:
            more: Mapping[str, Any] = {"why": outcome.why, "hosts": dict(outcome.hosts)} if outcome.why else {}
            self.event(
                "outcome",
                outcome=outcome.name,
                exit=outcome.exit_code,
                release=outcome.release,
                seconds=round(seconds, 2),
                **more,
            )
            return
        words = _WORDS[outcome.name].format(release=outcome.release)
        self._write(self.err, f"{words} after {seconds:.1f} s" + (f": {outcome.why}" if outcome.why else ""))
        for host, what in outcome.hosts.items():
            self._write(self.err, f"  {host}  {what}")
        if outcome.hint:
            self._write(self.err, f"  hint: {outcome.hint}")

    def end(self, exit_code: int) -> None:
        """The last word of a command for programs, if it said none itself: what its exit code means."""
        if self.as_json and not self._ended:
            name = next((name for name, code in EXITS.items() if code == exit_code), "refused") if exit_code else "done"
            self.event("outcome", outcome=name, exit=exit_code, release="", seconds=self._seconds())
            self._ended = True

    def release_terminal(self) -> None:
        """Stop drawing; a terminal that is drawn on has no cursor."""
        with self._writing:
            self._leave_terminal()

    def _leave_terminal(self) -> None:
        bar, self._bar = self._bar, None
        if bar:
            bar.stop()

    def _seconds(self) -> float:
        return round(time.monotonic() - self.began, 2)

    def _clock(self) -> str:
        return f"{time.monotonic() - self.began:6.1f}s"

    def _write(self, to: IO[str], text: str) -> None:
        with self._writing:
            to.write(text.encode("utf-8", "backslashreplace").decode() + "\n")
            to.flush()


_WORDS = {
    "live": "{release} is live and proven",
    "already_live": "{release} is live already, proven again",
    "done": "done",
    "refused": "refused, nothing was changed",
    "unchanged": "failed, nothing was switched",
    "reverted": "failed, taken back",
    "partial": "hosts differ",
    "unknown": "the outcome is not known",
    "locked": "locked by another deploy",
}


class _Bar:
    """Bytes, rate and time left, by rich; one line for each host."""

    def __init__(self, err: IO[str]) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        columns = (
            TextColumn("  {task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        self.progress = Progress(*columns, console=Console(file=err), transient=True)
        self.tasks: dict[str, object] = {}
        self.progress.start()

    def show(self, host: str, done: int, total: int) -> None:
        """Draw how far *host* is."""
        task = self.tasks.get(host)
        if task is None:
            task = self.tasks[host] = self.progress.add_task(host, total=total or 1)
        self.progress.update(task, completed=done)  # type: ignore[arg-type]

    @property
    def is_full(self) -> bool:
        """Whether every host that is shown has all."""
        return all(task.finished for task in self.progress.tasks)

    def stop(self) -> None:
        """Leave the terminal as it was."""
        self.progress.stop()
