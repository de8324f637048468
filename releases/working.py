"""Work on all hosts at once, while somebody may press Ctrl-C."""

import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from .errors import ReleaseError
from .fleet import Fleet
from .interrupting import QUESTION, Choice, Interrupted, Terminated, chosen, waited
from .local import run
from .plan import Phase
from .wording import first_line


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@dataclass(slots=True)
class Work:
    """What has *failed* so far, by host ("": here). While not *going* no step begins; once *stopping* none any more.

    *overtaken*: what was sent may have begun the switch, whatever phase we hear of.
    """

    fleet: Fleet
    stopping: threading.Event = field(default_factory=threading.Event)
    overtaken: threading.Event = field(default_factory=threading.Event)
    going: threading.Event = field(default_factory=_set)
    failed: dict[str, ReleaseError] = field(default_factory=dict)

    def on_all(self, phase: Phase, names: tuple[str, ...], do: Callable[[str], None]) -> bool:
        """Do it on all of *names* at once; False when it failed on one, or when somebody pressed Ctrl-C."""
        # Not `Thread.join`: interrupted by Ctrl-C, it takes a thread that runs for one that has ended (Python 3.11).
        # Nor may it run before we listen: `Thread.start` waits, too, and a Ctrl-C there is nobody's.
        begun, done = threading.Event(), threading.Event()
        threading.Thread(target=self._do, args=(names, do, begun, done), daemon=True).start()
        left = False
        while not done.is_set() and not left:
            try:
                begun.set()
                while not waited(done, 0.5):
                    pass
            except KeyboardInterrupt as pressed:
                reached = max(phase, Phase.SWITCH) if self.overtaken.is_set() else phase
                left = self._interrupt(reached, done, asks=not isinstance(pressed, Terminated))
        return not self.failed and not self.stopping.is_set()

    def _interrupt(self, phase: Phase, done: threading.Event, *, asks: bool) -> bool:
        """Before the switch a step is ended with its session; from then on it is let finish, unless asked again.

        True when the steps that run were left to their end.
        """
        try:
            choice = self._decided(phase, asks=asks)
            while choice is Choice.TAKE_BACK and not waited(done, 0.5):
                pass
        except KeyboardInterrupt:  # again, wherever we were
            choice = Choice.AT_ONCE
            self._stop()
        if choice is Choice.AT_ONCE:
            self.fleet.close()
            done.wait(10)
        return choice is Choice.AT_ONCE

    def _decided(self, phase: Phase, *, asks: bool) -> Choice:
        choice = self._asked() if asks and phase >= Phase.SWITCH and self.fleet.report.asks else Choice.TAKE_BACK
        if choice is Choice.GO_ON:
            self.going.set()
        else:
            self._stop()
        if phase < Phase.SWITCH:
            self.fleet.report.say("interrupted: the step that runs is ended")
            return Choice.AT_ONCE
        self.fleet.report.say(f"interrupted: {choice.value}")
        return choice

    def _stop(self) -> None:
        self.stopping.set()
        self.failed.setdefault("", Interrupted("interrupted"))
        self.going.set()

    def _asked(self) -> Choice:
        """What the person wants; meanwhile the steps that run are finished, and none begins."""
        self.going.clear()
        try:
            while not (choice := chosen(self.fleet.report.ask(QUESTION))):
                pass
        except Terminated:
            return Choice.TAKE_BACK
        except KeyboardInterrupt:
            return Choice.AT_ONCE
        return choice

    def _do(
        self, names: tuple[str, ...], do: Callable[[str], None], begun: threading.Event, done: threading.Event
    ) -> None:
        begun.wait()
        try:
            results = self.fleet.each(names, do)
            failed = {n: r for n, r in results.items() if isinstance(r, ReleaseError)}
            self.failed.update(sorted(failed.items(), key=lambda item: isinstance(item[1], Interrupted)))
        except Exception as error:  # a mistake of ours: the phase has not succeeded
            traceback.print_exc()
            self.failed[""] = ReleaseError(f"{type(error).__name__}: {error}")
        finally:
            done.set()

    def here(self, what: str, command: str, *, limit_s: float) -> bool:
        """Run a command on the controller, for *limit_s* at most; False when it failed, or somebody pressed Ctrl-C."""
        report = self.fleet.report
        report.say(f"+ {command}", "local")
        try:
            run(what, command, timeout_s=limit_s, say=lambda line: report.say(line, "local"))
        except ReleaseError as error:
            self.failed[""] = error
        except KeyboardInterrupt:
            self.failed[""] = Interrupted(f"interrupted while `{first_line(command)}` ran here")
        return not self.failed
