"""Carries a plan over a fleet, phase by phase; when a host fails, takes back what was switched."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from .aftermath import Aftermath
from .canary import WAYS, standing
from .config import Strategy
from .errors import ReleaseError
from .fleet import Fleet
from .grouping import Grouping
from .interrupting import Interrupted, deafen
from .outcome import Outcome
from .plan import Batch, Phase, Plan
from .stepping import Send, Stepper
from .strategies import undercut
from .working import Work

CHECK_S = 10.0  # so often the check of the team runs while a batch is watched


def _counts(strategy: Strategy) -> bool:
    return strategy.kind == "rolling" and bool(strategy.min_healthy)


@dataclass(slots=True)
class Carriage:
    """One plan on its way: *send* streams the payload. Once a host is *failing* its switch, none begins to.

    The only host of a plan overtakes us where the first steps of its switch are sent before we have heard that all
    before them went well: it does them only if that did.
    """

    plan: Plan
    fleet: Fleet
    send: Send
    failing: threading.Event = field(default_factory=threading.Event)
    reached: Phase = Phase.STAGE
    proven: list[str] = field(default_factory=list)
    outcome: Outcome | None = None
    work: Work = field(init=False)
    stepper: Stepper = field(init=False)
    grouping: Grouping = field(init=False)

    def __post_init__(self) -> None:
        self.work, self.grouping = Work(self.fleet), Grouping(self.plan)
        self.stepper = Stepper(self.plan, self.fleet, self.send, self.work.stopping, self.work.overtaken)

    def carry(self) -> Outcome:
        """Carry the whole plan; the outcome says what is true, whatever happened on the way.

        Nothing interrupts any more when this returns: what is true is still to be told.
        """
        began = time.monotonic()
        try:
            try:
                self._know()
            finally:
                self.stepper.rotation.everybody_back()
        except KeyboardInterrupt:  # again
            deafen()
        outcome = self.outcome or self._given_up()
        deafen()
        hosts = outcome.hosts or (self._standing() if outcome.name in ("live", "already_live") else {})
        release = str(self.plan.release or "")
        return replace(outcome, release=release, seconds=time.monotonic() - began, hosts=hosts)

    def _know(self) -> None:
        try:
            self.outcome = self._carried()
        except KeyboardInterrupt:  # not in a phase: in a hook of the controller, or while we looked what is true
            self.outcome = self._given_up()

    def _carried(self) -> Outcome:
        for phase in (Phase.STAGE, Phase.EXPAND, Phase.REHEARSE):
            if not self._phase(phase):
                return self._taken_back() if self.work.overtaken.is_set() else self._unchanged()
        if not any(self.plan.hosts_of(p) for p in (Phase.SWITCH, Phase.CONFIRM)):
            return Outcome("already_live" if self.plan.verb == "already_live" else "done")
        if not self._locally("before_switch"):
            return self._unchanged()
        if not self._switched():
            return self._kept() if self._keeps() else self._taken_back()
        if not self._all_stand() or not self._phase(Phase.CONFIRM):
            return self._taken_back()
        return self._live()

    def _keeps(self) -> bool:
        """Is what was proven confirmed? Not where somebody wants to have all taken back."""
        return self.plan.keeps and bool(self.proven) and not isinstance(self.work.failed.get(""), Interrupted)

    def _switched(self) -> bool:
        """Switch batch after batch; each is watched before the next."""
        for batch in self.plan.batches or (Batch(self.plan.hosts_of(Phase.SWITCH)),):
            if not self._enough_serve(batch) or not self._phase(Phase.SWITCH, batch.hosts) or not self._watched(batch):
                return False
            self.proven.extend(batch.hosts)
        self._tell_skew()
        return True

    def _all_stand(self) -> bool:
        """Of several none is confirmed where one has gone back by itself since it was proven: its line may be gone."""
        names = self.plan.hosts_of(Phase.CONFIRM)
        return len(names) < 2 or self.work.on_all(Phase.SWITCH, names, self.stepper.look)

    def _enough_serve(self, batch: Batch) -> bool:
        """Before a later batch, where ``min_healthy`` asks for it: who was proven still is, and enough others serve."""
        if not self.proven or not any(_counts(host.config.strategy) for host in self.fleet.hosts):
            return True
        hosts = {host.name: host for host in self.fleet.hosts}

        def look(name: str) -> None:
            if name in self.proven:
                self.stepper.look(name)
            else:
                hosts[name] = self.fleet.survey(name)

        looked = self.work.on_all(Phase.SWITCH, tuple(hosts), look)
        if looked and (why := undercut(tuple(hosts.values()), tuple(self.proven), batch.hosts)):
            self.work.failed[""] = ReleaseError(why)
        return not self.work.failed

    def _watched(self, batch: Batch) -> bool:
        end = time.monotonic() + batch.watch_s
        if batch.watch_s:
            self.fleet.report.say(f"watching {', '.join(batch.hosts)} for {batch.watch_s:g} s")
        while (now := time.monotonic()) < end:
            until = min(end, now + CHECK_S) if batch.check else end
            if not self.work.on_all(Phase.SWITCH, batch.hosts, partial(self.stepper.watch, end=until)):
                return False
            if until < end and not self._ran("strategy.check", batch.check):
                return False
        return not batch.check or self._ran("strategy.check", batch.check)

    def _tell_skew(self) -> None:
        if len(self.stepper.published) > 1:
            skew = max(self.stepper.published.values()) - min(self.stepper.published.values())
            self.fleet.report.say(f"swap skew: {skew:.2f} s between the first host and the last")
            self.fleet.report.event("skew", seconds=round(skew, 3), hosts=len(self.stepper.published))

    def _given_up(self) -> Outcome:
        if self.reached is Phase.AFTER:
            self.fleet.report.say("warning: interrupted after the switch was confirmed")
            return self._stands()
        if self.reached < Phase.SWITCH and not self.work.overtaken.is_set():
            return Outcome("unchanged", why="interrupted")
        why = "interrupted before it was known what is true"
        return Outcome("unknown", why=why, hint="`inv status` asks the host what is true")

    def _phase(self, phase: Phase, names: tuple[str, ...] = ()) -> bool:
        """Carry one phase on all its hosts, or on *names*, at once; False when one has failed."""
        names = names or self.plan.hosts_of(phase)
        self.reached = phase
        return self.work.on_all(phase, names, lambda name: self._on_one(name, phase))

    def _on_one(self, name: str, phase: Phase) -> None:
        begun = phase is not Phase.SWITCH
        lines = self.grouping.lines(name, phase)
        for at, todo in enumerate(lines):
            left = tuple(step for step in todo if step.name not in self.stepper.skips.get(name, ()))
            if left:
                self.work.going.wait()
                if self.work.stopping.is_set() or (self.failing.is_set() and not begun):
                    raise Interrupted(f"{name}: interrupted before {left[0].label}")
                begun = True
                later = self.grouping.later(name, phase, at)
                last = at + 1 == len(lines) and self.grouping.ends_with(name, (*left, *later))
                try:
                    self.stepper.carry_all(name, left, later, last=last)
                except ReleaseError:
                    self.failing.set()
                    raise

    def _locally(self, hook: str) -> bool:
        return all(self._ran(f"local {hook}", command) for command in self.plan.local.get(hook, ()))

    def _ran(self, what: str, command: str) -> bool:
        return self.work.here(what, command, limit_s=self.plan.local_s)

    def _unchanged(self) -> Outcome:
        return self._aftermath().unchanged()

    def _order_back(self) -> tuple[tuple[str, ...], ...]:
        """The hosts that may have been switched, last batch first."""
        batches = self.plan.batches or (Batch(self.plan.hosts_of(Phase.SWITCH)),)
        return tuple(batch.hosts for batch in reversed(batches))

    def _kept(self) -> Outcome:
        """What was proven before one failed is confirmed; the rest goes back, and hosts differ."""
        failed, self.work.failed, keep = dict(self.work.failed), {}, tuple(self.proven)
        self.work.stopping.clear()
        confirmed = self._phase(Phase.CONFIRM, keep)
        self.work.failed = {**failed, **self.work.failed}
        back = tuple(tuple(n for n in names if n not in keep) for names in self._order_back())
        outcome = self._aftermath().taken_back(back)
        try:
            if confirmed:
                self._finish_and_tidy(keep)
        except KeyboardInterrupt:  # it is known what is true
            self.fleet.report.say("warning: interrupted before all was finished that follows the switch")
        return outcome

    def _taken_back(self) -> Outcome:
        """Unless the hosts say that the switch was confirmed: then what follows is done as well."""
        outcome = self._aftermath().taken_back(self._order_back())
        if outcome.name != "live":
            return outcome
        for error in self.work.failed.values():
            self.fleet.report.say(f"warning: {error.known}")
        self.work.failed.clear()
        return self._live()

    def _finish_and_tidy(self, names: tuple[str, ...]) -> None:
        self.fleet.each(names, lambda name: self._afterwards(name, finishing=True))
        self.fleet.each(names, lambda name: self._afterwards(name, finishing=False))

    def _afterwards(self, name: str, *, finishing: bool) -> None:
        """On one host: what was replaced is told to stop before anything else is done, which may take its time."""
        for step in self.plan.steps[name]:
            if step.phase is Phase.AFTER and not step.process and (step.name == "finish") is finishing:
                try:
                    self.stepper.carry(name, step)
                except ReleaseError as error:
                    self.fleet.report.say(f"warning: {error}")

    def _aftermath(self) -> Aftermath:
        return Aftermath(self.plan, self.fleet, self.work.failed, self.stepper.rotation)

    def _live(self) -> Outcome:
        """Confirmed everywhere; what follows can only warn."""
        self.reached = Phase.AFTER
        self._finish_and_tidy(self.plan.hosts_of(Phase.AFTER))
        if not self._locally("after_switch"):
            self.fleet.report.say(f"warning: {self.work.failed.pop('')}")
        return self._stands()

    def _stands(self) -> Outcome:
        """All is as it was planned: live everywhere, or on the hosts that hold the canary."""
        if not (on := ", ".join(self.plan.holds)):
            return Outcome("live")
        self.fleet.report.event("canary", release=str(self.plan.release), hosts=list(self.plan.holds))
        return Outcome("partial", why=f"the canary waits on {on}, as it should", hint=WAYS, hosts=self._standing())

    def _standing(self) -> Mapping[str, str]:
        return standing(self.plan, {host.name: host.facts.live for host in self.fleet.hosts})
