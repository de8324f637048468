"""What is true after a plan has failed on a host: take back, look, and put a name to it."""

from collections.abc import Mapping
from dataclasses import dataclass

from . import steps
from .errors import OutcomeUnknown, ReleaseError
from .fleet import Fleet
from .history import prefix
from .outcome import Outcome
from .plan import Plan, Step
from .surveyed import Surveyed

RECONNECT_S = 75.0  # longer than the host's own patience with a silent line


@dataclass(frozen=True, slots=True)
class Aftermath:
    """One failed plan: *failed* has the error of each host that had one, "" standing for the controller."""

    plan: Plan
    fleet: Fleet
    failed: Mapping[str, ReleaseError]

    @property
    def first(self) -> ReleaseError:
        """What went wrong first."""
        return next(iter(self.failed.values()), ReleaseError("interrupted"))

    def unchanged(self, ran: tuple[str, ...]) -> Outcome:
        """Nothing was switched anywhere; *ran* names what did run. Journaled where the host can be reached."""
        hint = self.first.hint
        if self.plan.verb == "already_live":
            hint = hint or "`inv deploy --force` makes a new release of it, and starts what is down"
        found = self._looked()
        return Outcome("unchanged", why="; ".join([str(self.first), *ran]), hint=hint, hosts=self._words(found))

    def taken_back(self) -> Outcome:
        """Every host that was switched goes back, and says of itself what is true; ``live``: it was confirmed."""
        for name in self.fleet.sessions:
            if not isinstance(self.failed.get(name), OutcomeUnknown):
                self._take_back(name)
        found = self._looked()
        why, hint, words = str(self.first), self.first.hint, self._words(found)
        known = [host.facts for host in found.values() if host]
        live = [f for f in known if f.live == self.plan.release and f.history.ended("live", self.plan.number)]
        back = [end for f in known if (end := f.history.ended("reverted", self.plan.number))]
        if len(known) < len(found):
            return Outcome("unknown", why=why, hint="`inv status` asks the host what is true", hosts=words)
        if len(live) == len(known):
            return Outcome("live")
        if live or any(end.get("code") for end in back):
            return Outcome("partial", why=why, hint=hint, hosts=words)
        return Outcome("reverted" if back else "unchanged", why=why, hint=hint, hosts=words)

    def _take_back(self, name: str) -> None:
        report = self.fleet.report
        step = Step("takeback", {"root": self.fleet.targets[name].config.root}, "take the switch back", timeout_s=300)
        report.began_step(name, step)
        try:
            self.fleet.run(name, step, number=self.plan.number)
        except ReleaseError as error:
            report.say(str(error))

    def _looked(self) -> dict[str, Surveyed | None]:
        """What is true on each host; None where it cannot be reached."""
        found = {name: self._look(name) for name in self.plan.steps}
        for name, host in found.items():
            history = host.facts.history if host else None
            if host and history and not any(history.ended(how, self.plan.number) for how in ("live", "reverted")):
                self._write_failure(name, host)
        return found

    def _look(self, name: str) -> Surveyed | None:
        try:
            session = self.fleet.sessions.get(name)
            if session and not session.lost:
                return self.fleet.survey(name)
            self.fleet.report.say("reconnecting to see what is true", name)
            return self.fleet.reopen(name, within_s=RECONNECT_S)
        except ReleaseError as error:
            self.fleet.report.say(str(error))
            return None

    def _write_failure(self, name: str, host: Surveyed) -> None:
        plan, why = self.plan, str(self.first)[:300]
        event = {"event": "failed", "deploy": plan.number, "verb": plan.verb, "release": str(plan.release), "why": why}
        try:
            self.fleet.run(name, steps.end(host.layout, prefix(event)))
        except ReleaseError as error:
            self.fleet.report.say(str(error))

    def _words(self, found: Mapping[str, Surveyed | None]) -> dict[str, str]:
        """What is said of each host in the table at the end."""
        words = {}
        for name, host in found.items():
            if host is None:
                words[name] = "cannot be reached; it goes back by itself unless the switch was confirmed"
                continue
            end = host.facts.history.ended("reverted", self.plan.number)
            words[name] = f"live: {host.facts.live or 'nothing'}" + (
                ", not taken back whole" if end.get("code") else ""
            )
        return words
