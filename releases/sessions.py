"""The sessions of one command with its hosts: opened, used one by one or all at once, closed."""

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

from fabric import Connection

from . import steps
from .answer import Answer
from .bulk import UNPACK
from .config import Target
from .dialing import AT_ONCE, Dialing
from .errors import ReleaseError, Unreachable
from .layout import Layout
from .local import run
from .plan import HERE, Step
from .processes.kinds import kinds
from .report import Report
from .scripts import render
from .session import Session
from .streams import Stream
from .switching import Author
from .together import unreachable

T = TypeVar("T")


class Sessions:
    """Sessions with *targets*; a context manager that closes them all, which frees their locks."""

    def __init__(
        self, targets: tuple[Target, ...], report: Report, author: Author, dialing: Dialing | None = None
    ) -> None:
        self.targets = {target.name: target for target in targets}
        self.places = self.targets  # with the hosts of balancers, where a command tells those
        self._turns: dict[str, threading.Lock] = {}
        self._ended = threading.Event()  # what runs here
        self.report, self.author, self.dialing = report, author, dialing or Dialing()
        self.mark = os.urandom(8).hex()  # tells our own locks from those of others
        self.sessions: dict[str, Session] = {}
        self.unreached: Mapping[str, ReleaseError] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End every session, and what runs here for a host."""
        self.dialing.close()
        ended, self._ended = self._ended, threading.Event()
        ended.set()
        sessions, self.sessions = self.sessions, {}
        self.at_once(sessions, lambda name: sessions[name].close())

    def connect(self, connections: dict[str, Connection], *, partly: bool) -> None:
        """Call all places at once; who cannot be reached is told together, or left out."""
        calls = self.each(
            self.places, lambda name: connections.update({name: self.dialing.take(self.places[name].destination)})
        )
        errors = {name: error for name, error in calls.items() if error}
        for error in errors.values():
            if not isinstance(error, Unreachable):
                raise error
        if errors and not (partly and connections):
            raise unreachable(errors, self.targets)
        self.unreached = errors
        self.targets = {name: target for name, target in self.targets.items() if name not in errors}
        self.places = {name: target for name, target in self.places.items() if name not in errors}

    def reaches(self, name: str) -> bool:
        """Is there a session with it, over which something can be asked?"""
        session = self.sessions.get(name)
        return bool(session and not session.lost)

    def session(self, name: str, what: str) -> Session:
        """The session with it; `Unreachable` where there is none any more, as after Ctrl-C: *what* was not begun."""
        if session := self.sessions.get(name):
            return session
        raise Unreachable(f"{name}: there is no session any more for {what}")

    def run(self, name: str, step: Step, *, number: int = 0, out: Callable[[str], None] | None = None) -> Answer:
        """Run one step on one host; with *number* its beginning and end are journaled.

        With *out* each line that it prints is handed there as it comes. What goes *via* another place waits for its
        turn there, since hosts are carried at once.
        """
        if step.via == HERE:
            return self._run_here(name, step)
        where, script = step.via or name, rendered(step, number)
        session = self.session(where, step.label)
        with self._turns.setdefault(where, threading.Lock()):
            return session.run(step.label, script, timeout_s=step.timeout_s, out=out, finds=step.finds)

    def ahead(self, name: str, numbered: Iterable[tuple[Step, int]], *, last: bool = False) -> None:
        """Send steps of one host, each with the number that `run` will be given, which then are one round trip.

        Behind the *last* of a command its lock is let go, where they go well.
        """
        numbered = tuple(numbered)
        scripts = [(rendered(step, number), step.timeout_s) for step, number in numbered]
        if session := self.sessions.get(name):
            with self._turns.setdefault(name, threading.Lock()):
                session.ahead(numbered[0][0].label, scripts, last=last)

    def expect(self, name: str) -> None:
        """Let one host be ready for a stream."""
        if session := self.sessions.get(name):
            session.bulk.expect(*self._unpacking(name))

    def send(
        self, name: str, step: Step, write: Callable[[Stream], None], *, packs: bool, behind: Callable[[], None]
    ) -> None:
        """Send one host the tar that *write* writes, compressed where it *packs*; *behind* sends what follows."""
        command, directory, hold = self._unpacking(name)
        self.session(name, step.label).bulk.send(
            step.label, command, directory, write,
            timeout_s=step.timeout_s, option="z" if packs else "", hold=hold, behind=behind,
        )  # fmt: skip

    def _unpacking(self, name: str) -> tuple[str, str, str]:
        """What takes the stream of a release there: a command, where it runs, and the lock that it holds meanwhile."""
        layout = Layout(self.targets[name].config.root)
        return UNPACK, str(layout.root / "releases"), str(layout.private / "arriving")

    def _run_here(self, name: str, step: Step) -> Answer:
        """Run a step of the controller's own; what brings a host back waits for what takes it out to have ended."""
        command, environment = str(step.values["command"]), step.values["environment"]
        assert isinstance(environment, Mapping)
        ended, say = self._ended, lambda line: self.report.say(line, "local")
        with self._turns.setdefault(f"{HERE} {name}", threading.Lock()):
            what = f"{name}: {step.label}"
            run(what, command, environment=environment, timeout_s=step.timeout_s, say=say, ended=ended)
        return Answer()

    def each(self, names: Iterable[str], do: Callable[[str], T]) -> Mapping[str, T | ReleaseError]:
        """Do it on all hosts at once; a host's error stands in place of its result.

        Ctrl-C waits for none of them: who closes the sessions ends what runs there.
        """

        def guarded(name: str) -> T | ReleaseError:
            try:
                return do(name)
            except ReleaseError as error:
                return error

        names = tuple(names)
        if len(names) == 1:
            return {names[0]: guarded(names[0])}
        pool = ThreadPoolExecutor(max_workers=AT_ONCE)
        try:
            return dict(zip(names, pool.map(guarded, names), strict=True))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def at_once(self, names: Iterable[str], do: Callable[[str], T]) -> dict[str, T]:
        """Do it on all hosts at once; raises the error of the first that has one, when all have ended."""
        results = self.each(names, do)
        for result in results.values():
            if isinstance(result, ReleaseError):
                raise result
        return {name: result for name, result in results.items() if not isinstance(result, ReleaseError)}

    def surveying(self, name: str) -> Step:
        """What one host is asked for all that `Facts` knows."""
        config = self.targets[name].config
        return steps.survey(config, kinds(config))


def rendered(step: Step, number: int) -> str:
    """Its script; with *number* it journals its beginning and end."""
    return render(step, event={"event": "step", "deploy": number, "step": step.label} if number else None)
