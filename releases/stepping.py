"""Carries one step to one host, as often as its judge wants; remembers what was answered, skipped and switched."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from . import proofs, steps
from .answer import Answer
from .arming import armed, guarded
from .errors import ReleaseError, StepFailed
from .fleet import Fleet
from .inquiry import Inquiry
from .interrupting import Interrupted
from .layout import Release
from .plan import Phase, Plan, Step, Verdict
from .processes.kind import Switch
from .rotation import Rotation

UNJOURNALED = frozenset({"begin", "tell", "prove", "settled", "verify", "probe", "drained", "serving"})
Send = Callable[[str, Step, Answer, Callable[[], None]], None]


@dataclass(slots=True)
class Stepper:
    """The steps of *plan*, each to its host: *send* streams the payload; once *stopping* is set none is asked again.

    *overtaken* is set before the switch is sent with what comes before it. *skips* are the steps that have nothing left
    to do, *published* when each host was switched (monotonic seconds), *arriving* the hosts whose check waits for the
    end of the stream, and *repeated* the steps that were carried twice.
    """

    plan: Plan
    fleet: Fleet
    send: Send
    stopping: threading.Event
    overtaken: threading.Event
    skips: dict[str, set[str]] = field(default_factory=dict)
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    published: dict[str, float] = field(default_factory=dict)
    arriving: set[str] = field(default_factory=set)
    rotation: Rotation = field(init=False)
    repeated: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.rotation = Rotation(self.plan, self.fleet)

    def carry_all(self, name: str, todo: tuple[Step, ...], later: tuple[Step, ...] = (), *, last: bool = False) -> None:
        """Steps of the plan one after another, sent together, and with them what is carried *later* in any case.

        *last*: nothing else is asked of this host, if they go well. Raises what the first fails with that fails.
        """
        if any(step.name == "stage" for step in todo):
            self.fleet.expect(name)
        for step in todo:
            self.carry(name, step, (*todo, *later) if step is todo[0] else (), last=last)

    def carry(self, name: str, step: Step, todo: tuple[Step, ...] = (), *, last: bool = False) -> None:
        """One step of the plan, told to the report; *todo* is sent with it, or behind it. Raises what it fails with."""
        report = self.fleet.report
        report.began_step(name, step)
        self.rotation.begins(name, step)
        try:
            if (len(todo) > 1 or (todo and last)) and not step.streams:
                self._ahead(name, todo, last=last)
            verdict = self._done(name, step, todo[1:])
        except ReleaseError as error:
            report.failed_step(name, step, str(error))
            raise
        self.skips.setdefault(name, set()).update(verdict.skips)
        self.rotation.ended(name, step)
        if step.name == "publish":
            self.published[name] = time.monotonic()
        report.ended_step(name, step, verdict.note)

    def watch(self, name: str, end: float) -> None:
        """Prove one host again and again until *end*; raises `StepFailed` as soon as that fails."""
        look = self._look(name)
        while time.monotonic() < end and not self.stopping.wait(min(1.0, max(0.0, end - time.monotonic()))):
            look()

    def look(self, name: str) -> None:
        """Prove once more one host that was proven; raises `StepFailed`."""
        self._look(name)()

    def _look(self, name: str) -> Callable[[], None]:
        """What compares each time with what was seen before the first."""
        first = self.answers.get((name, "settled"), Answer())
        looks = [proofs.watched(step, first) for step in self.plan.steps[name] if step.name == "settled"]

        def look() -> None:
            for step in looks:
                self._judged(name, step)

        return look

    def _ahead(self, name: str, todo: tuple[Step, ...], *, last: bool = False) -> None:
        if todo[0].phase < Phase.SWITCH and any(step.phase is Phase.SWITCH for step in todo):
            self.overtaken.set()
        self.fleet.ahead(name, [(self._filled(name, each), self._number(each)) for each in todo], last=last)

    def _done(self, name: str, step: Step, behind: tuple[Step, ...]) -> Verdict:
        if not step.streams:
            return self._judged(name, step)

        def follow() -> None:
            if behind:
                self.arriving.add(name)
                self._ahead(name, behind)

        self.send(name, step, self.answers.get((name, "stage"), Answer()), follow)
        return Verdict()

    def _judged(self, name: str, step: Step) -> Verdict:
        """Ask until the judge is content; `StepFailed` when it never is."""
        verdict = self._inquired(name, step)
        if not verdict and verdict.again and (name, step.label) not in self.repeated:
            self.repeated.add((name, step.label))
            self._again(name, verdict.again)
            verdict = self._inquired(name, step)
        if verdict:
            return verdict
        if step.lenient:
            return replace(verdict, note=verdict.why)
        if not verdict.final:
            raise Interrupted(f"{name}: interrupted while {step.label} was asked again")
        self._hear_last_words(name, step, verdict.about)
        raise StepFailed(name, step.label, 70, [verdict.why], judged=not verdict.quotes)

    def _inquired(self, name: str, step: Step) -> Verdict:
        return Inquiry(self._filled(name, step), lambda step: self._asked(name, step), self.stopping.wait).verdict()

    def _asked(self, name: str, step: Step) -> Answer:
        answer = self.answers[name, step.name] = self._run(name, step)
        return answer

    def _run(self, name: str, step: Step) -> Answer:
        """Run it; of several hosts a confirm that fails once more: by now others are confirmed, who cannot go back."""
        try:
            return self.fleet.run(name, step, number=self._number(step))
        except StepFailed as failed:
            if step.phase is not Phase.CONFIRM or len(self.plan.steps) < 2 or self.stopping.is_set():
                raise
            self.fleet.report.say(f"{failed}; it is asked for once more", name)
        return self.fleet.run(name, step, number=self._number(step))

    def _again(self, name: str, names: frozenset[str]) -> None:
        """Carry steps once more, without what may be damaged."""
        self.arriving.discard(name)
        for step in self.plan.steps[name]:
            if step.name in names:
                self.carry(name, step)
                if step.name == "stage":
                    staged = self.answers[name, "stage"]
                    self.answers[name, "stage"] = Answer((*staged, ("damaged", str(step.values["base"]))))

    def _number(self, step: Step) -> int:
        return 0 if step.name in UNJOURNALED else self.plan.number

    def _hear_last_words(self, name: str, step: Step, process: str) -> None:
        with suppress(ReleaseError):  # what failed is told already
            for words in step.words:
                if words.process == process:
                    self.fleet.run(name, words)

    def _filled(self, name: str, step: Step) -> Step:
        """What only the whole plan tells: the scripts of the arm, the release of a step of the team's own."""
        plan, release = self.plan, self.plan.release
        if release is None:
            return step
        if step.name == "check" and name in self.arriving:
            step = replace(step, values={**step.values, "arriving": True})
        root = self.fleet.targets[name].config.root
        switch = Switch(root, plan.number, release, self._previous(name))
        if step.name == "arm":
            return armed(plan, name, step, switch)
        if step.name == "guard" and step.template == "arm":
            return guarded(step, plan.number)
        if step.name == "share":
            return replace(step, values={**step.values, "untold": self._journaled(str(step.values["leader"]))})
        return steps.filled(step, switch)

    def _journaled(self, leader: str) -> tuple[str, ...]:
        """What the migrations of this plan have written into the journal of *leader*."""
        answers = (answer for (name, _), answer in tuple(self.answers.items()) if name == leader)
        return tuple(line for answer in answers for line in answer.all("journaled"))

    def _previous(self, name: str) -> Release | None:
        return next(host.facts.live for host in self.fleet.hosts if host.name == name)
