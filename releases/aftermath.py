"""What is true after a plan has failed on a host: take back, look, and put a name to it."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from . import steps
from .errors import LockHeld, OutcomeUnknown, ReleaseError
from .facts import Facts
from .fleet import Fleet
from .history import prefix
from .holder import Holder
from .outcome import Outcome
from .plan import Phase, Plan, Step
from .rotation import Rotation
from .surveyed import Surveyed


@dataclass(frozen=True, slots=True)
class Aftermath:
    """One failed plan: *failed* has the error of each host that had one, "" standing for the controller."""

    plan: Plan
    fleet: Fleet
    failed: Mapping[str, ReleaseError]
    rotation: Rotation
    locked: dict[str, str] = field(default_factory=dict)  # who has the lock of a host by now

    @property
    def first(self) -> ReleaseError:
        """What went wrong first."""
        return next(iter(self.failed.values()), ReleaseError("interrupted"))

    def unchanged(self) -> Outcome:
        """Nothing was switched anywhere; what did run is named. Journaled where the host can be reached."""
        found = self._looked()
        hint = self._hint(found)
        if self.plan.verb == "already_live":
            hint = hint or "`inv deploy --force` makes a new release of it, and starts what is down"
        return Outcome("unchanged", why=self._why(found), hint=hint, hosts=self._words(found, ()))

    def taken_back(self, order: tuple[tuple[str, ...], ...]) -> Outcome:
        """Every host of *order* goes back, and all say of themselves what is true; ``live``: it was confirmed."""
        for names in order:
            here = [n for n in names if self.fleet.reaches(n) and not self._is_gone(n)]
            self.fleet.each(here, self._take_back)
        found = self._looked()
        self.rotation.everybody_back()
        switched = self.plan.hosts_of(Phase.CONFIRM)
        why, hint, words = self._why(found), self._hint(found), self._words(found, switched)
        known = [host.facts for host in found.values() if host]
        on = [host.facts for name in switched if (host := found[name])]
        live = [f for f in on if self._is_confirmed(f)]
        stuck = [f for f in known if str(self.plan.number) in f.armed]
        back = [end for f in known if (end := f.history.ended("reverted", self.plan.number))]
        if len(known) < len(found):
            return Outcome("unknown", why=why, hint="`inv status` asks the host what is true", hosts=words)
        if live and len(live) == len(on):
            self._tell_replaced(found)
            return Outcome("live")
        if live or stuck or any(end.get("code") for end in back):
            return Outcome("partial", why=why, hint=hint, hosts=words)
        return Outcome("reverted" if back else "unchanged", why=why, hint=hint, hosts=words)

    def _is_gone(self, name: str) -> bool:
        """Has the line to the host itself dropped?"""
        error = self.failed.get(name)
        return isinstance(error, OutcomeUnknown) and error.host == name

    def _is_confirmed(self, facts: Facts) -> bool:
        """By the rename; the journal may not have been told yet. Somebody else's deploy may have our number by now."""
        live = facts.history.ended("live", self.plan.number).get("release") == str(self.plan.release)
        return live or str(self.plan.number) in facts.confirmed

    def _tell_replaced(self, found: Mapping[str, Surveyed | None]) -> None:
        """Where another deploy was faster than we could look, what was confirmed is not live any more."""
        for name, host in found.items():
            if host and host.facts.live != self.plan.release:
                self.fleet.report.say(f"it went live, and {host.facts.live} has replaced it since", name)

    def _why(self, found: Mapping[str, Surveyed | None]) -> str:
        """What went wrong first, and which migrations of this deploy ran all the same: the schema stays wider."""
        ran = {
            str(event["phase"]): f"{name}: {event['phase']} migrations ran: {', '.join(map(str, event['names']))}"
            for name, host in found.items()
            for event in (host.facts.history.migrated if host else ())
            if event.get("deploy") == self.plan.number
        }
        return "; ".join([self._cause(found), *ran.values()])

    def _cause(self, found: Mapping[str, Surveyed | None]) -> str:
        """What went wrong first; of a line that dropped no more than that once it is known what is true there."""
        first = self.first
        if not isinstance(first, OutcomeUnknown) or not self._asked(first.host, found):
            return str(first)
        host = found.get(first.host)
        if host and (ended := host.facts.history.ended("unlocked", self.plan.number)):
            by = Holder(str(ended.get("by")), str(ended.get("place", "")))
            return f"{first.host}: {by} has ended our session with `inv unlock` during {first.step}"
        return first.known

    def _hint(self, found: Mapping[str, Surveyed | None]) -> str:
        """What helps, but to ask once more."""
        first = self.first
        return "" if isinstance(first, OutcomeUnknown) and self._asked(first.host, found) else first.hint

    def _asked(self, name: str, found: Mapping[str, Surveyed | None]) -> bool:
        """Was it asked what is true? Of a balancer's host all is known once there is a session again: it settles."""
        return bool(found[name]) if name in found else self.fleet.reaches(name)

    def _take_back(self, name: str) -> None:
        report = self.fleet.report
        self.rotation.leave_again(name)
        step = Step("takeback", {"root": self.fleet.targets[name].config.root}, "take the switch back", timeout_s=300)
        report.began_step(name, step)
        try:
            self.fleet.run(name, step)  # its beginning is not journaled: a full disk must not stop it
            report.ended_step(name, step)
        except ReleaseError as error:
            report.failed_step(name, step, str(error))
            report.say(str(error))
        self.rotation.come_back(name)

    def _looked(self) -> dict[str, Surveyed | None]:
        """What is true on each host; None where it cannot be reached."""
        looked = self.fleet.each(self.plan.steps, self._look)
        found = {name: None if isinstance(host, ReleaseError) else host for name, host in looked.items()}
        if self.plan.verb == "prune":  # no deploy: what became of the last one is not for it to say
            return found
        for name, host in found.items():
            history = host.facts.history if host else None
            ended = history and any(history.ended(how, self.plan.number) for how in ("live", "reverted"))
            if host and not ended and not self._is_confirmed(host.facts) and name not in self.locked:
                self._write_failure(name, host)
        return found

    def _look(self, name: str) -> Surveyed | None:
        try:
            session = self.fleet.sessions.get(name)
            if session and not session.lost:
                with suppress(OutcomeUnknown):
                    return self.fleet.survey(name)
            return self._reopened(name)
        except ReleaseError as error:
            self.fleet.report.say(str(error))
            return None

    def _reopened(self, name: str) -> Surveyed | None:
        """What is true by a new session; where somebody else was faster, they have settled it, or are about to."""
        self.fleet.report.say("reconnecting to see what is true", name)
        try:
            return self.fleet.reopen(name, within_s=self.fleet.targets[name].config.connection.reconnect_s)
        except LockHeld as busy:
            self.locked[name] = busy.holder
            host = self.fleet.peek(name)
            return None if str(self.plan.number) in host.facts.armed else host

    def _write_failure(self, name: str, host: Surveyed) -> None:
        plan, why = self.plan, self.first.record[:300]
        event = {
            "event": "failed",
            "deploy": plan.number,
            "verb": plan.verb,
            "release": str(plan.release or ""),
            "why": why,
        }
        try:
            self.fleet.run(name, steps.end(host.layout, prefix(event)))
        except ReleaseError as error:
            self.fleet.report.say(str(error))

    def _words(self, found: Mapping[str, Surveyed | None], switched: tuple[str, ...]) -> dict[str, str]:
        """What is said of each host in the table at the end; none but those of *switched* may have been."""
        words = {}
        for name, host in found.items():
            held = f"locked by {self.locked[name]}" if name in self.locked else ""
            if host is None:
                back = "it goes back by itself unless the switch was confirmed"
                then = back if name in switched else "nothing was switched there"
                words[name] = f"{held or 'cannot be reached'}; {then}"
                continue
            if held:
                words[name] = f"live: {host.facts.live or 'nothing'}, {held}"
                continue
            end = host.facts.history.ended("reverted", self.plan.number)
            stuck = str(self.plan.number) in host.facts.armed
            more = ", not taken back whole" if end.get("code") else ", could not be taken back" if stuck else ""
            more += ", still out of rotation" if name in self.rotation.out else ""
            words[name] = f"live: {host.facts.live or 'nothing'}{more}"
        return words
