"""Carries a plan over a fleet, phase by phase; when a host fails, takes back what was switched."""

import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from .aftermath import Aftermath
from .canary import WAYS, standing
from .config import Strategy
from .errors import ReleaseError
from .fleet import Fleet
from .interrupting import QUESTION, Choice, Interrupted, Terminated, chosen, deafen
from .local import run
from .outcome import Outcome
from .plan import Batch, Phase, Plan, Step
from .stepping import Send, Stepper, together
from .strategies import undercut
from .wording import first_line

CHECK_S = 10.0  # so often the check of the team runs while a batch is watched


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def _counts(strategy: Strategy) -> bool:
    return strategy.kind == "rolling" and bool(strategy.min_healthy)


@dataclass(slots=True)
class Carriage:
    """One plan on its way: *send* streams the payload. While not *going*, no step begins.

    Once a host is *failing* its switch, none begins to.
    """

    plan: Plan
    fleet: Fleet
    send: Send
    stopping: threading.Event = field(default_factory=threading.Event)
    going: threading.Event = field(default_factory=_set)
    failing: threading.Event = field(default_factory=threading.Event)
    failed: dict[str, ReleaseError] = field(default_factory=dict)
    reached: Phase = Phase.STAGE
    proven: list[str] = field(default_factory=list)
    outcome: Outcome | None = None
    stepper: Stepper = field(init=False)

    def __post_init__(self) -> None:
        self.stepper = Stepper(self.plan, self.fleet, self.send, self.stopping)

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
                return self._unchanged()
        if not any(self.plan.hosts_of(p) for p in (Phase.SWITCH, Phase.CONFIRM)):
            return Outcome("already_live" if self.plan.verb == "already_live" else "done")
        if not self._locally("before_switch"):
            return self._unchanged()
        if not self._switched():
            return self._kept() if self._keeps() else self._taken_back()
        if not self._phase(Phase.CONFIRM):
            return self._taken_back()
        return self._live()

    def _keeps(self) -> bool:
        """Is what was proven confirmed? Not where somebody wants to have all taken back."""
        return self.plan.keeps and bool(self.proven) and not isinstance(self.failed.get(""), Interrupted)

    def _switched(self) -> bool:
        """Switch batch after batch; each is watched before the next."""
        for batch in self.plan.batches or (Batch(self.plan.hosts_of(Phase.SWITCH)),):
            if not self._enough_serve(batch) or not self._phase(Phase.SWITCH, batch.hosts) or not self._watched(batch):
                return False
            self.proven.extend(batch.hosts)
        self._tell_skew()
        return True

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

        looked = self._carry_out(Phase.SWITCH, tuple(hosts), look)
        if looked and (why := undercut(tuple(hosts.values()), tuple(self.proven), batch.hosts)):
            self.failed[""] = ReleaseError(why)
        return not self.failed

    def _watched(self, batch: Batch) -> bool:
        end = time.monotonic() + batch.watch_s
        if batch.watch_s:
            self.fleet.report.say(f"watching {', '.join(batch.hosts)} for {batch.watch_s:g} s")
        while (now := time.monotonic()) < end:
            until = min(end, now + CHECK_S) if batch.check else end
            if not self._carry_out(Phase.SWITCH, batch.hosts, partial(self.stepper.watch, end=until)):
                return False
            if until < end and not self._ran_here("strategy.check", batch.check):
                return False
        return not batch.check or self._ran_here("strategy.check", batch.check)

    def _tell_skew(self) -> None:
        if len(self.stepper.published) > 1:
            skew = max(self.stepper.published.values()) - min(self.stepper.published.values())
            self.fleet.report.say(f"swap skew: {skew:.2f} s between the first host and the last")
            self.fleet.report.event("skew", seconds=round(skew, 3), hosts=len(self.stepper.published))

    def _given_up(self) -> Outcome:
        if self.reached is Phase.AFTER:
            self.fleet.report.say("warning: interrupted after the switch was confirmed")
            return self._stands()
        if self.reached < Phase.SWITCH:
            return Outcome("unchanged", why="interrupted")
        why = "interrupted before it was known what is true"
        return Outcome("unknown", why=why, hint="`inv status` asks the host what is true")

    def _phase(self, phase: Phase, names: tuple[str, ...] = ()) -> bool:
        """Carry one phase on all its hosts, or on *names*, at once; False when one has failed."""
        names = names or self.plan.hosts_of(phase)
        return self._carry_out(phase, names, lambda name: self._on_one(name, phase))

    def _carry_out(self, phase: Phase, names: tuple[str, ...], do: Callable[[str], None]) -> bool:
        """Do it on all of *names* at once; False when it failed on one, or when somebody pressed Ctrl-C."""
        self.reached = phase
        # Not `Thread.join`: interrupted by Ctrl-C, it takes a thread that runs for one that has ended (Python 3.11).
        # Nor may it run before we listen: `Thread.start` waits, too, and a Ctrl-C there is nobody's.
        begun, done = threading.Event(), threading.Event()
        threading.Thread(target=self._on_all, args=(names, do, begun, done), daemon=True).start()
        left = False
        while not done.is_set() and not left:
            try:
                begun.set()
                while not done.wait(0.5):
                    pass
            except KeyboardInterrupt as pressed:
                left = self._interrupt(phase, done, asks=not isinstance(pressed, Terminated))
        return not self.failed and not self.stopping.is_set()

    def _interrupt(self, phase: Phase, done: threading.Event, *, asks: bool) -> bool:
        """Before the switch a step is ended with its session; from then on it is let finish, unless asked again.

        True when the steps that run were left to their end.
        """
        try:
            choice = self._decided(phase, asks=asks)
            while choice is Choice.TAKE_BACK and not done.wait(0.5):
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

    def _on_all(
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

    def _on_one(self, name: str, phase: Phase) -> None:
        begun = phase is not Phase.SWITCH
        for todo in together(tuple(step for step in self.plan.steps[name] if step.phase is phase)):
            left = tuple(step for step in todo if step.name not in self.stepper.skips.get(name, ()))
            if left:
                self.going.wait()
                if self.stopping.is_set() or (self.failing.is_set() and not begun):
                    raise Interrupted(f"{name}: interrupted before {left[0].label}")
                begun = True
                try:
                    self.stepper.carry_all(name, left, self._later(name) if phase is Phase.CONFIRM else ())
                except ReleaseError:
                    self.failing.set()
                    raise

    def _later(self, name: str) -> tuple[Step, ...]:
        """What follows as soon as *name* is confirmed, where it is the only host that has to be."""
        if len(self.plan.steps) > 1 or self.plan.holds:
            return ()
        return tuple(
            s for s in self.plan.steps[name] if s.phase is Phase.AFTER and s.name == "finish" and not s.process
        )

    def _locally(self, hook: str) -> bool:
        return all(self._ran_here(f"local {hook}", command) for command in self.plan.local.get(hook, ()))

    def _ran_here(self, what: str, command: str) -> bool:
        """Run a command on the controller; False when it failed, or somebody pressed Ctrl-C."""
        report = self.fleet.report
        report.say(f"+ {command}", "local")
        try:
            run(what, command, timeout_s=self.plan.local_s, say=lambda line: report.say(line, "local"))
        except ReleaseError as error:
            self.failed[""] = error
        except KeyboardInterrupt:
            self.failed[""] = Interrupted(f"interrupted while `{first_line(command)}` ran here")
        return not self.failed

    def _unchanged(self) -> Outcome:
        return self._aftermath().unchanged()

    def _order_back(self) -> tuple[tuple[str, ...], ...]:
        """The hosts that may have been switched, last batch first."""
        batches = self.plan.batches or (Batch(self.plan.hosts_of(Phase.SWITCH)),)
        return tuple(batch.hosts for batch in reversed(batches))

    def _kept(self) -> Outcome:
        """What was proven before one failed is confirmed; the rest goes back, and hosts differ."""
        failed, self.failed, keep = dict(self.failed), {}, tuple(self.proven)
        self.stopping.clear()
        confirmed = self._phase(Phase.CONFIRM, keep)
        self.failed = {**failed, **self.failed}
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
        for error in self.failed.values():
            self.fleet.report.say(f"warning: {error.known}")
        self.failed.clear()
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
        return Aftermath(self.plan, self.fleet, self.failed, self.stepper.rotation)

    def _live(self) -> Outcome:
        """Confirmed everywhere; what follows can only warn."""
        self.reached = Phase.AFTER
        self._finish_and_tidy(self.plan.hosts_of(Phase.AFTER))
        if not self._locally("after_switch"):
            self.fleet.report.say(f"warning: {self.failed.pop('')}")
        return self._stands()

    def _stands(self) -> Outcome:
        """All is as it was planned: live everywhere, or on the hosts that hold the canary."""
        if not (on := ", ".join(self.plan.holds)):
            return Outcome("live")
        self.fleet.report.event("canary", release=str(self.plan.release), hosts=list(self.plan.holds))
        return Outcome("partial", why=f"the canary waits on {on}, as it should", hint=WAYS, hosts=self._standing())

    def _standing(self) -> Mapping[str, str]:
        return standing(self.plan, {host.name: host.facts.live for host in self.fleet.hosts})
