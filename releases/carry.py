"""Carries a plan over a fleet, phase by phase; when a host fails, takes back what was switched."""

import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from . import steps
from .answer import Answer
from .errors import OutcomeUnknown, ReleaseError, StepFailed
from .facts import Facts
from .fleet import Fleet
from .history import prefix
from .layout import Release
from .outcome import Outcome
from .plan import Phase, Plan, Step, Verdict
from .processes.kind import Switch
from .scripts import quoted, render
from .surveyed import Surveyed

AGAIN_S = 0.2
RECONNECT_S = 75.0
UNJOURNALED = frozenset({"begin", "prove", "settled", "verify", "probe"})
Send = Callable[[str, Step, Answer], None]


class Interrupted(ReleaseError):
    """Ctrl-C, or the end of the CI job."""


@dataclass(slots=True)
class Carriage:
    """One plan on its way: *send* streams the payload."""

    plan: Plan
    fleet: Fleet
    send: Send
    stopping: threading.Event = field(default_factory=threading.Event)
    skips: dict[str, set[str]] = field(default_factory=dict)
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    failed: dict[str, ReleaseError] = field(default_factory=dict)

    def carry(self) -> Outcome:
        """Carry the whole plan; the outcome says what is true, whatever happened on the way."""
        began = time.monotonic()
        outcome = self._carried()
        return replace(outcome, release=str(self.plan.release), seconds=time.monotonic() - began)

    def _carried(self) -> Outcome:
        for phase in (Phase.STAGE, Phase.EXPAND, Phase.REHEARSE):
            if not self._phase(phase):
                return self._unchanged()
        if not any(self.plan.hosts_of(p) for p in (Phase.SWITCH, Phase.CONFIRM)):
            return Outcome("already_live" if self.plan.verb == "already_live" else "done")
        if not self._locally("before_switch"):
            return self._unchanged()
        if not self._phase(Phase.SWITCH) or not self._phase(Phase.CONFIRM):
            return self._taken_back()
        return self._live()

    def _phase(self, phase: Phase) -> bool:
        """Carry one phase on all its hosts at once; False when one has failed, or somebody pressed Ctrl-C."""
        names = self.plan.hosts_of(phase)
        worker = threading.Thread(target=self._on_all, args=(phase, names), daemon=True)
        worker.start()
        try:
            while worker.is_alive():
                worker.join(0.5)
        except KeyboardInterrupt:
            self.stopping.set()
            self._interrupt(phase, worker)
        return not self.failed and not self.stopping.is_set()

    def _interrupt(self, phase: Phase, worker: threading.Thread) -> None:
        """Before the switch a step is ended with its session; from then on it is let finish, unless asked again."""
        self.failed.setdefault("", Interrupted("interrupted"))
        if phase < Phase.SWITCH:
            self.fleet.close()
            worker.join(10)
            return
        self.fleet.report.say("interrupted: the step that runs is finished, then all is taken back (again: at once)")
        try:
            while worker.is_alive():
                worker.join(0.5)
        except KeyboardInterrupt:
            self.fleet.close()
            worker.join(10)

    def _on_all(self, phase: Phase, names: tuple[str, ...]) -> None:
        results = self.fleet.each(names, lambda name: self._on_one(name, phase))
        self.failed.update({n: r for n, r in results.items() if isinstance(r, ReleaseError)})

    def _on_one(self, name: str, phase: Phase) -> None:
        for step in self.plan.steps[name]:
            if step.phase is phase and step.name not in self.skips.get(name, ()):
                if self.stopping.is_set():
                    raise Interrupted(f"{name}: interrupted before {step.label}")
                self._step(name, step)

    def _step(self, name: str, step: Step) -> None:
        report = self.fleet.report
        report.began_step(name, step)
        if step.name == "send":
            self.send(name, step, self.answers.get((name, "stage"), Answer()))
            report.ended_step(name, step)
            return
        verdict = self._judged(name, self._filled(name, step))
        self.skips.setdefault(name, set()).update(verdict.skips)
        report.ended_step(name, step, verdict.note)

    def _judged(self, name: str, step: Step) -> Verdict:
        """Ask until the judge is content; `StepFailed` when it never is."""
        end = time.monotonic() + step.patience_s
        number = 0 if step.name in UNJOURNALED else self.plan.number
        while True:
            answer = self.answers[name, step.name] = self.fleet.run(name, step, number=number)
            verdict = step.judge(answer) if step.judge else Verdict()
            if verdict:
                return verdict
            if verdict.final or time.monotonic() >= end or self.stopping.is_set():
                raise StepFailed(name, step.label, 70, [verdict.why])
            time.sleep(AGAIN_S)

    def _filled(self, name: str, step: Step) -> Step:
        """What only the whole plan tells: the scripts of the arm, the release of a step of the team's own."""
        plan, release = self.plan, self.plan.release
        if release is None:
            return step
        root = self.fleet.targets[name].config.root
        switch = Switch(root, plan.number, release, self._previous(name))
        if step.name == "arm":
            return armed(plan, name, step, switch)
        return steps.filled(step, switch)

    def _previous(self, name: str) -> Release | None:
        return next(host.facts.live for host in self.fleet.hosts if host.name == name)

    def _locally(self, hook: str) -> bool:
        for command in self.plan.local.get(hook, ()):
            self.fleet.report.say(f"+ {command}", "local")
            if code := subprocess.run(command, shell=True, stdin=subprocess.DEVNULL).returncode:
                self.failed[""] = ReleaseError(f"local {hook}: `{command}` failed: exit {code}")
                return False
        return True

    def _unchanged(self) -> Outcome:
        """Nothing was switched anywhere; the journal says so where the host can be reached."""
        why, hint = self._why()
        if self.plan.verb == "already_live":
            hint = hint or "`inv deploy --force` makes a new release of it, and starts what is down"
        found = self._looked(why)
        ran = [
            f"{n}: expand migrations ran: {a.one('expand')}"
            for (n, s), a in self.answers.items()
            if s == "expand" and a.one("expand")
        ]
        return Outcome("unchanged", why="; ".join([why, *ran]), hint=hint, hosts=self._words(found))

    def _taken_back(self) -> Outcome:
        """Every host that was switched goes back; what it says of itself is what is reported."""
        why, hint = self._why()
        for name, session in self.fleet.sessions.items():
            if name not in self.failed or not isinstance(self.failed[name], OutcomeUnknown):
                self._take_back(name, session.host)
        found = self._looked(why)
        live = [h for h in found.values() if h and h.facts.live == self.plan.release and _confirmed(h.facts, self.plan)]
        lost = [name for name, host in found.items() if host is None]
        words = self._words(found)
        if lost:
            return Outcome("unknown", why=why, hint="`inv status` asks the host what is true", hosts=words)
        if len(live) == len(found):
            self.failed.clear()
            return self._live()
        if live or any(code for code in self._codes(found)):
            return Outcome("partial", why=why, hint=hint, hosts=words)
        switched = any(host and _reverted(host.facts, self.plan) for host in found.values())
        return Outcome("reverted" if switched else "unchanged", why=why, hint=hint, hosts=words)

    def _take_back(self, name: str, host: str) -> None:
        report = self.fleet.report
        step = Step("takeback", {"root": self.fleet.targets[name].config.root}, "take the switch back", timeout_s=300)
        report.began_step(name, step)
        try:
            self.fleet.run(name, step, number=self.plan.number)
        except ReleaseError as error:
            self.failed[name] = error if isinstance(error, OutcomeUnknown) else self.failed.get(name, error)
            report.say(str(error))

    def _looked(self, why: str) -> dict[str, Surveyed | None]:
        """What is true on each host after a failure; None where it cannot be reached."""
        found: dict[str, Surveyed | None] = {}
        for name in self.plan.steps:
            found[name] = self._look(name)
            if (host := found[name]) and not _confirmed(host.facts, self.plan) and not _reverted(host.facts, self.plan):
                event = {
                    "event": "failed",
                    "deploy": self.plan.number,
                    "verb": self.plan.verb,
                    "release": str(self.plan.release),
                    "why": why[:300],
                }
                step = steps.end(host.layout, prefix(event))
                self.fleet.each([name], lambda n, step=step: self.fleet.run(n, step))  # type: ignore[misc]
        return found

    def _look(self, name: str) -> Surveyed | None:
        broken = name not in self.fleet.sessions or isinstance(self.failed.get(name), OutcomeUnknown)
        try:
            if not broken:
                return self.fleet.survey(name)
            self.fleet.report.say("the line dropped: reconnecting to see what is true", name)
            return self.fleet.reopen(name, within_s=RECONNECT_S)
        except ReleaseError as error:
            self.fleet.report.say(str(error))
            return None

    def _live(self) -> Outcome:
        """Confirmed everywhere; what follows can only warn."""
        for name in self.plan.hosts_of(Phase.AFTER):
            for step in self.plan.steps[name]:
                if step.phase is Phase.AFTER and not step.process:
                    try:
                        self._step(name, step)
                    except ReleaseError as error:
                        self.fleet.report.say(f"warning: {error}")
        if not self._locally("after_switch"):
            self.fleet.report.say(f"warning: {self.failed.pop('')}")
        return Outcome("live")

    def _why(self) -> tuple[str, str]:
        first = next(iter(self.failed.values()), Interrupted("interrupted"))
        return str(first), first.hint

    def _words(self, found: Mapping[str, Surveyed | None]) -> dict[str, str]:
        return {
            name: f"live: {host.facts.live or 'nothing'}"
            + (", not taken back whole" if _code(host.facts, self.plan) else "")
            if host
            else "cannot be reached; it goes back by itself unless the switch was confirmed"
            for name, host in found.items()
        }

    def _codes(self, found: Mapping[str, Surveyed | None]) -> list[int]:
        return [_code(host.facts, self.plan) for host in found.values() if host]


def armed(plan: Plan, name: str, step: Step, switch: Switch) -> Step:
    """The arm of one host with the scripts that take this plan back, and those that end it."""
    previous = f"releases/{switch.previous}" if switch.previous else ""
    event = {"deploy": plan.number, "release": str(plan.release), "verb": plan.verb}
    waiter = render(Step("waiter", {"root": step.values["root"]}, ""))
    more = {
        "previous": previous,
        "takeback": _sequence(tuple(steps.filled(s, switch) for s in plan.takes_back(name))),
        "finish": _sequence(plan.finishes(name)),
        "live": prefix({"event": "live", **event, "previous": str(switch.previous or "")}),
        "reverted": prefix({"event": "reverted", **event, "to": str(switch.previous or "")}),
        "waiter": waiter,
    }
    return replace(step, values={**step.values, **more})


def _sequence(each: tuple[Step, ...]) -> str:
    """One script that runs all of *each*, the later ones even when an earlier one fails."""
    lines = [f"sh -c {quoted(render(step))} || code=$?" for step in each]
    return "\n".join(["code=0", *lines, 'exit "$code"'])


def _confirmed(facts: Facts, plan: Plan) -> bool:
    return any(e["event"] == "live" and e.get("deploy") == plan.number for e in facts.history.events)


def _reverted(facts: Facts, plan: Plan) -> bool:
    return any(e["event"] == "reverted" and e.get("deploy") == plan.number for e in facts.history.events)


def _code(facts: Facts, plan: Plan) -> int:
    found = (e for e in facts.history.events if e["event"] == "reverted" and e.get("deploy") == plan.number)
    return int(next(found, {}).get("code", 0))
