"""Who is out of the rotation of its balancer while a plan is carried, and how everybody comes back, whatever failed."""

import threading
import time
from dataclasses import dataclass, field

from .answer import Answer
from .arming import guarded
from .errors import ReleaseError, Unreachable
from .fleet import Fleet
from .inquiry import Inquiry
from .plan import HERE, LEAVING, RETURNING, Plan, Step, Verdict


@dataclass(slots=True)
class Rotation:
    """The hosts that are *out*, and those that were and have *returned*; *lost*: balancers out of reach."""

    plan: Plan
    fleet: Fleet
    out: set[str] = field(default_factory=set)
    returned: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    given_up: bool = False
    turns: dict[str, threading.Lock] = field(default_factory=dict)

    def begins(self, name: str, step: Step) -> None:
        """A step of the plan is on its way: from the first that may take the host out, it is out."""
        if step.name in LEAVING:
            self.out.add(name)

    def ended(self, name: str, step: Step) -> None:
        """It has ended well."""
        if step.name in RETURNING and step == self.plan.returning(name)[-1]:
            self.out.discard(name)
            self.returned.add(name)

    def leave_again(self, name: str) -> None:
        """Before a host that was back goes back to its old release; what cannot be is said."""
        if name not in self.returned or not self.plan.leaving(name):
            return
        self.returned.discard(name)
        self.out.add(name)
        self._each(name, self.plan.leaving(name))

    def come_back(self, name: str) -> None:
        """Bring one host back, and wait for it; it stays *out*, and guarded, when that cannot be."""
        if name in self.out and self._each(name, self.plan.returning(name)):
            self.out.discard(name)

    def everybody_back(self) -> None:
        """Bring back whoever is still out, and wait for nobody: who cannot be reached may be down for good.

        Ctrl-C ends that, and changes nothing of what is known; who may still be out is said.
        """
        try:
            for name in () if self.given_up else sorted(self.out):
                if self._each(name, tuple(s for s in self.plan.returning(name) if s.name != "serving")):
                    self.out.discard(name)
        except KeyboardInterrupt:
            self.given_up = True
            if left := ", ".join(sorted(self.out)):
                self.fleet.report.say(f"warning: interrupted: {left} may still be out of rotation")

    def _each(self, name: str, steps: tuple[Step, ...]) -> bool:
        """Run them all, unless the first of them fails or one that takes the host out: who is in is not waited for."""
        skips = frozenset[str]()
        for step in (s for s in steps if s.name not in skips):
            self.fleet.report.began_step(name, step)
            try:
                skips |= self._patiently(name, step).skips
            except ReleaseError as error:
                self.fleet.report.say(str(error))
                if step is steps[0] or step.name in LEAVING:
                    return False
        return True

    def _patiently(self, name: str, step: Step) -> Verdict:
        """Until its judge is content; when it never is, that is said, and no more."""
        filled = guarded(step, self.plan.number) if step.template == "arm" else step
        verdict = Inquiry(filled, lambda step: self._run(name, step), _stopped).verdict()
        self.fleet.report.say(verdict.why, name) if verdict.why else None
        return verdict

    def _run(self, name: str, step: Step) -> Answer:
        """Over a new session with the balancer's host where the line to it has dropped: that settles it, too."""
        if step.via and step.via != HERE:
            with self.turns.setdefault(step.via, threading.Lock()):  # of several hosts one opens it for all
                self._reach(step.via, step.process)
        quiet = step.judge or step.name in RETURNING  # its beginning is not journaled: a full disk must not stop it
        return self.fleet.run(name, step, number=0 if quiet else self.plan.number)

    def _reach(self, place: str, server: str) -> None:
        if self.fleet.reaches(place):
            return
        if place in self.lost:
            raise Unreachable(f"{place} cannot be reached; it brings {server} back by itself")
        self.lost.add(place)
        self.fleet.report.say("reconnecting to bring back what is out of rotation", place)
        self.fleet.rejoin(place, within_s=self.fleet.places[place].config.connection.reconnect_s)
        self.lost.discard(place)


def _stopped(wait_s: float) -> bool:
    """Whoever brings a host back goes on, whatever else was stopped."""
    time.sleep(wait_s)
    return False
