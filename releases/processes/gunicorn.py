"""gunicorn: a master that runs already is reloaded in place with HUP; docs/zero-downtime.md says what that can do."""

import hashlib
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from .. import config
from ..answer import Answer
from ..facts import Facts, Running
from ..layout import Release
from ..plan import Step, Verdict
from .gunicorn_start import HIDDEN, logged, misleading, rehearsed, started, unsafe
from .kind import Switch, rehearsal


@dataclass(frozen=True, slots=True)
class Gunicorn:
    """One gunicorn, found by its unit or by its pidfile."""

    name: str
    root: PurePosixPath
    settings: config.Gunicorn

    def files(self) -> Mapping[str, bytes]:
        """Nothing: the master is started from outside the release."""
        return {}

    def values(self, switch: Switch | None = None) -> Mapping[str, object]:
        """Where the master is found, and where and how it is asked."""
        s = self.settings
        pidfile = str(self.root / s.pidfile) if s.pidfile else ""
        return {
            "name": self.name,
            "facts": "remote/gunicorn/facts.sh.j2",
            "unit": s.unit,
            "pidfile": pidfile,
            "scope": s.scope,
            "start": s.start,
            "start_s": max(1, round(s.start_s)),
            "digest": self._digest,
            "log": logged(s.start, self.root),
            "url": s.health.url if s.health else "",
            "public_url": s.health.url if s.health else "",
            "public_socket": "",
            "host": s.health.host if s.health else "",
            "timeout_s": s.health.timeout_s if s.health else 5,
            "wait_s": round(self._wait_s),
            "prove_s": round(self._wait_s + s.drain_s),  # an old worker with a long request is waited for
            "drain_s": max(1, round(s.drain_s)),
        }

    @property
    def _wait_s(self) -> float:
        return self.settings.health.wait_s if self.settings.health else self.settings.start_s

    def _roots(self, facts: Facts) -> tuple[PurePosixPath, ...]:
        """As deploy.toml has it, and as the file system has it: a virtual environment names the latter."""
        physical = facts.answer.one(f"{self.name}.root")
        return (self.root, PurePosixPath(physical)) if physical else (self.root,)

    def conditions(self, facts: Facts) -> Iterable[str]:
        """The unsafe ways to start one (facts: docs/zero-downtime.md): each loses code or the service at a reload."""
        answer = facts.answer.below(self.name)
        if stranger := answer.one("stranger"):
            yield f"{self.name}: {stranger}: remove the pidfile, or name the right one"
        yield from (f"{self.name}: {why}" for why in self._misleading(facts, legibly=not answer.number("master")))
        if answer.number("master"):
            if self._is_strange(facts):
                yield f"{self.name}: its master runs as user {answer.one('owner')}, so what it runs cannot be read"
            if not self.outdated(facts):
                way_out = self._way_out(answer.number("master"))
                yield from (f"{self.name}: {why}; {way_out}" for why in self._unsafe(facts))
        if systemctl := answer.one("forbidden"):
            unit, user = self.settings.unit, facts.answer.one("user")
            rule = ", ".join(f"{systemctl} {verb} {unit}" for verb in ("restart", "stop"))
            yield (
                f"{self.name}: {unit} must be restarted where it is down or its environment changes, and stopped when a"
                f" first deploy fails; sudoers lacks: {user} ALL=(root) NOPASSWD: {rule}"
            )

    def outdated(self, facts: Facts) -> str:
        """Why the running master is replaced by one that `start` makes, and not reloaded; empty when it is not.

        Only one that has to do with our root, and only by a `start` that can be read and has no faults of its own. Who
        was started by this very `start`, or hides how, would be no better after it.
        """
        answer = facts.answer.below(self.name)
        if not answer.number("master") or not self.settings.start or any(self._misleading(facts, legibly=True)):
            return ""
        if self._is_strange(facts) or not self._is_ours(facts):
            return ""
        if by := answer.one("started"):
            return "" if by == self._digest else "`start` has changed since it was started"
        return next(iter(self._unsafe(facts)), "") if not answer.one("word").startswith(HIDDEN) else ""

    def _misleading(self, facts: Facts, *, legibly: bool) -> Iterable[str]:
        start = self.settings.start
        return misleading(start, self._roots(facts), legibly=legibly) if start else ()

    def _unsafe(self, facts: Facts) -> Iterable[str]:
        answer = facts.answer.below(self.name)
        return unsafe(list(answer.all("word")), answer.one("arguments"), self._roots(facts))

    def _is_strange(self, facts: Facts) -> bool:
        return bool(facts.uid) and facts.answer.number(f"{self.name}.owner") != facts.uid

    def _is_ours(self, facts: Facts) -> bool:
        """Does the master, or a worker of it, mention our root or a release of it?"""
        below = tuple(f"{root}/" for root in self._roots(facts))
        words = facts.answer.all(f"{self.name}.word")
        return any(root in word for word in words for root in below) or any(self.owns(r, facts) for r in facts.running)

    def _way_out(self, master: int) -> str:
        unit = self.settings.unit
        if unit:
            systemctl = "systemctl --user" if self.settings.scope == "user" else "sudo systemctl"
            return f"mend the unit, then restart it once: `{systemctl} restart {unit}`"
        return (
            f"stop it once, on the host: `kill -TERM {master}`; `inv deploy` starts it as deploy.toml says"
            " (with --force where nothing else has changed)"
        )

    @property
    def _digest(self) -> str:
        """What a master that `start` makes bears in its environment, to be known again."""
        return hashlib.sha256(self.settings.start.encode()).hexdigest()[:16]

    def rehearse(self, switch: Switch, facts: Facts) -> tuple[Step, ...]:
        """As the master is started that will run it, with one worker, on a private socket, from the new directory."""
        s, values, answer = self.settings, self.values(switch), facts.answer.below(self.name)
        stays = not self.outdated(facts)
        words = (list(answer.all("word")) if stays else []) or started(s.start, self.root)
        command = says = ""
        if words:
            # A pidfile that its configuration names, and the default control socket, belong to the running master.
            where = f"cd {shlex.quote(str(self.root))} && " if s.start else ""  # as `start` does
            private = 'exec env XDG_RUNTIME_DIR="${SOCKET%/*}"'
            booted = f"{where}{private} {rehearsed(words, self._roots(facts), switch.release)}"
            master = answer.one("master").removeprefix("0") if stays else ""
            values = {**values, "inherits": master, "printing": f"{booted} --print-config"}
            command = f'{booted} --pid "$SOCKET.pid"' if s.health else ""
            says = "let gunicorn print its configuration in it"
        if s.rehearse:
            values = {**values, "url": values["url"] if "$SOCKET" in s.rehearse else ""}
            command, says = s.rehearse, f"run `{s.rehearse}` in it"
        elif s.health:
            says = f"boot gunicorn from it with one worker on a private socket, ask {s.health.url}, stop it"
        limit = 2 * self._wait_s + 30  # it is imported twice
        return (rehearsal(switch, self.name, values, command, says, limit),) if command or words else ()

    def before(self, switch: Switch) -> tuple[Step, ...]:
        """Nothing: a HUP reads the link, so it comes after the rename."""
        return ()

    def after(self, switch: Switch, facts: Facts) -> tuple[Step, ...]:
        """HUP; a changed environment or `start` needs a new master, which a restart gives (and a gap)."""
        outdated = self.outdated(facts)
        says = "restart: its environment has changed" if switch.replaced else "HUP (start it where it is down)"
        if outdated:
            says, switch = f"restart: {outdated}", replace(switch, replaced=True)
        back = (
            self._stop(switch)
            if switch.previous is None
            else self._reload(switch, "reload what was live before", "back")
        )
        return (replace(self._reload(switch, says), undo=back),)

    def finish(self, switch: Switch) -> tuple[Step, ...]:
        """Nothing: the old workers end by themselves."""
        return ()

    def words(self, switch: Switch) -> tuple[Step, ...]:
        """Of its unit, or of the log of a `start` of ours."""
        values = {"root": self.root, "process": self.values(switch)}
        return (Step("words", values, "", template="gunicorn/words", process=self.name, timeout_s=10),)

    def proof(self, release: Release, facts: Facts) -> Verdict:
        """Every worker was started after the reload, in *release*, and uses no other.

        A library that the master itself holds is inherited by its workers, and says nothing of what they imported.
        """
        answer = facts.answer.below(self.name)
        master, mark = answer.number("master"), answer.number("mark")
        # Old workers may drain for longer than a new one may take to answer.
        late = self._wait_s < answer.number("since") <= self._wait_s + self.settings.drain_s
        if stranger := answer.one("stranger"):
            return Verdict(f"{self.name}: {stranger}", final=True, quotes=True)
        if not master:
            return Verdict(f"{self.name}: its master is not running", final=late)
        workers = [(int(pid), int(start)) for pid, start in (line.split() for line in answer.all("worker"))]
        if not workers:
            return Verdict(f"{self.name}: master {master} has no worker yet", final=late)
        if late and not (said := answer.one("health", "200")).startswith("2"):
            return Verdict(f"{self.name}: {self.values()['url']}: {said}, wanted 200", final=True)
        if old := [pid for pid, start in workers if start < mark]:
            return Verdict(f"{self.name}: worker {old[0]} is older than the reload")
        known = {process.pid: process for process in facts.running}
        inherited = known[master].uses if master in known else frozenset()
        for pid, _ in workers:
            process = known.get(pid)
            if not process or process.release != release:
                where = process.release if process else "a directory outside the releases"
                return Verdict(f"{self.name}: worker {pid} works in {where or 'another directory'}, not in {release}")
            if other := process.uses - {release} - inherited:
                return Verdict(f"{self.name}: worker {pid} uses {', '.join(map(str, other))}", final=True)
        return Verdict(note=f"{self.name}: master {master}, {len(workers)} workers")

    def same(self, release: Release, then: Answer, now: Answer) -> bool:
        """The same master, with the same workers unless it recycles them (``--max-requests``)."""
        keys = (f"{self.name}.master", *(() if now.one(f"{self.name}.recycles") else (f"{self.name}.worker",)))
        return all(set(then.all(key)) <= set(now.all(key)) for key in keys)

    def owns(self, running: Running, facts: Facts) -> bool:
        """The master and its workers."""
        answer = facts.answer.below(self.name)
        workers = {int(line.split()[0]) for line in answer.all("worker")}
        return running.pid == answer.number("master") or running.pid in workers

    def accepts(self, running: Running, facts: Facts) -> bool:
        """A worker of the live release does; one of an older drains."""
        return running.release == facts.live

    def _reload(self, switch: Switch, says: str, back: str = "") -> Step:
        s, of = self.settings, {"number": switch.number, "replace": switch.replaced, "back": back}
        values = {"root": self.root, "process": self.values(switch), **of}
        limit = s.drain_s + s.start_s + 30
        return Step("reload", values, says, template="gunicorn/reload", process=self.name, timeout_s=limit)

    def _stop(self, switch: Switch) -> Step:
        values = {"root": self.root, "process": self.values(switch)}
        return Step("stop", values, "stop it again", template="gunicorn/stop", process=self.name)
