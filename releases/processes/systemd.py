"""systemd: an instance per release on a shared socket; the old one serves until the new one is proven."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from .. import config
from ..answer import Answer
from ..facts import Facts, Running
from ..layout import Release
from ..plan import Phase, Step, Verdict
from .kind import Switch, rehearsal

LONGEST_SOCKET_PATH = 107


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance unit as systemd tells it."""

    unit: str
    active: str
    main: int
    restarts: int
    pids: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> "Instance":
        """Read ``UNIT ACTIVE SUB MAINPID RESTARTS PID,…``."""
        unit, active, _, main, restarts, pids = text.split(" ")
        return cls(unit, active, int(main), int(restarts), tuple(int(p) for p in pids.split(",") if p.isdigit()))

    @property
    def release(self) -> Release | None:
        """What it runs: an instance is named ``ID.N``, and its script runs in that directory."""
        return Release.parse(self.unit.partition("@")[2].partition(".")[0])


@dataclass(frozen=True, slots=True)
class Systemd:
    """A process that systemd runs, an instance for each start of each release."""

    name: str
    app: str
    root: PurePosixPath
    settings: config.Systemd
    digest: str = ""

    @property
    def unit(self) -> str:
        """The common part of its units' names: ``shop-web``."""
        return f"{self.app}-{self.name}"

    @property
    def unit_files(self) -> tuple[str, ...]:
        """The units that `setup` installs for it; those with a socket only where it listens."""
        names = [f"{self.unit}.service", f"{self.unit}@.service"]
        if self.settings.listen:
            names += [f"{self.unit}.socket", f"{self.unit}-private@.socket"]
            names += [f"{self.unit}-rehearsal@.service", f"{self.unit}-rehearsal@.socket"]
        return tuple(names)

    @property
    def limit_s(self) -> float:
        """How long a boot of it may take."""
        s = self.settings
        return (s.health.wait_s if s.health else s.start_s) + 30

    def files(self) -> Mapping[str, bytes]:
        """The script in the release that starts it, so that a rollback starts a release as it was."""
        start = f'#!/bin/sh\ncd -P "$(dirname "$0")/.." || exit\nexec {self.settings.command}\n'
        stop = self.settings.before_stop
        return {f".release/{self.name}": start.encode()} | (
            {f".release/{self.name}.stop": f'#!/bin/sh\ncd -P "$(dirname "$0")/.." || exit\n{stop}\n'.encode()}
            if stop
            else {}
        )

    def values(self, switch: Switch | None = None) -> Mapping[str, object]:
        """Names of units, and where and how it is asked."""
        s, health = self.settings, self.settings.health
        url = health.url if health else ""
        local = url.startswith("/")
        return {
            "name": self.name,
            "facts": "remote/systemd/facts.sh.j2",
            "unit": self.unit,
            "instance": f"{switch.release}.{switch.number}" if switch else "",
            "listen": s.listen,
            "scope": s.scope,
            "helper": f"/usr/local/sbin/switchover-{self.app}",
            "files": self.unit_files,
            "privately": bool(s.listen and local),
            "url": f"http://localhost{url}" if local else url,
            "public_url": _public(s.listen) + url if local else url,
            "public_socket": s.listen if s.listen.startswith("/") and local else "",
            "host": health.host if health else "",
            "timeout_s": health.timeout_s if health else 5,
            "wait_s": round(health.wait_s if health else s.start_s),
            "prove_s": round(health.wait_s if health else s.start_s),
        }

    def conditions(self, facts: Facts) -> Iterable[str]:
        """systemd must be there, and its units as this deploy.toml wants them."""
        answer = facts.answer.below(self.name)
        if "systemctl" not in facts.tools:
            yield f'{self.name}: the host has no systemd; kind "gunicorn" or "command" works without'
        elif answer.one("manager") == "absent":
            user = facts.answer.one("user")
            yield (
                f"{self.name}: the user manager is not running: sudo loginctl enable-linger {user}"
                ' (or, without root: kind = "gunicorn" with pidfile and start, docs/config.md)'
            )
        elif answer.one("linger") == "no":
            user = facts.answer.one("user")
            yield f"{self.name}: it would end with our session: sudo loginctl enable-linger {user}"
        elif self.digest and answer.one("units") != self.digest:
            yield f"{self.name}: its units are missing or not as deploy.toml wants them: `inv setup`"
        elif self.settings.listen and answer.one("socket") not in ("active", ""):
            yield f"{self.name}: {self.unit}.socket is {answer.one('socket')}: `inv setup` starts it"
        if len(f"/run/user/{facts.uid}/{self.unit}/rehearsal-{'x' * 32}.sock") > LONGEST_SOCKET_PATH:
            yield f"{self.name}: app and process name are too long for the path of a socket"

    def rehearse(self, switch: Switch, facts: Facts) -> tuple[Step, ...]:
        """On a socket of its own, by systemd itself: same user, same limits, but no client."""
        s, values = self.settings, self.values(switch)
        if s.rehearse:
            values = {**values, "url": ""} if "$SOCKET" not in s.rehearse else values
            return (rehearsal(switch, self.name, values, s.rehearse, f"run `{s.rehearse}` in it", self.limit_s),)
        if not (s.listen and s.health and s.health.is_path):
            return ()
        return (
            Step(
                "rehearse",
                {"root": self.root, "process": values},
                f"boot {self.unit}-rehearsal@{values['instance']} on a private socket, ask {s.health.url}, stop it",
                phase=Phase.REHEARSE,
                template="systemd/rehearse",
                timeout_s=self.limit_s,
                process=self.name,
            ),
        )

    def before(self, switch: Switch) -> tuple[Step, ...]:
        """A server starts before the rename; both accept from then on."""
        return (self._start(switch),) if self.settings.listen else ()

    def after(self, switch: Switch, facts: Facts) -> tuple[Step, ...]:
        """A worker starts after the rename: it takes real jobs at once."""
        return () if self.settings.listen else (self._start(switch),)

    def finish(self, switch: Switch) -> tuple[Step, ...]:
        """The old instances are told to stop, and drain in their own time."""
        return (
            Step(
                "retire",
                self._filled(switch),
                f"tell older instances of {self.unit}@ to stop; they have {self.settings.drain_s:g} s to drain",
                phase=Phase.AFTER,
                template="systemd/retire",
                process=self.name,
            ),
        )

    def words(self, switch: Switch) -> tuple[Step, ...]:
        """Of the new instance."""
        return (Step("words", self._filled(switch), "", template="systemd/words", process=self.name, timeout_s=10),)

    def proof(self, release: Release, facts: Facts) -> Verdict:
        """One instance of *release* is up, has not crashed since a switch started it, and uses no other release."""
        standing = facts.answer.one(f"{self.name}.started") == "none"
        mine = [i for i in self.instances(facts.answer) if i.active in ("active", "reloading")]
        ours = [i for i in mine if i.release == release and (standing or i.restarts == 0)]
        if not ours:
            there = ", ".join(f"{i.unit} {i.active}, restarted {i.restarts} times" for i in mine) or "none is active"
            return Verdict(f"{self.name}: no steady instance of {release}: {there}")
        pids = {pid for i in ours for pid in i.pids}
        for process in facts.running:
            if process.pid in pids and process.uses - {release}:
                return Verdict(
                    f"{self.name}: process {process.pid} uses {_names(process.uses - {release})}", final=True
                )
        return Verdict(note=f"{self.name}: {ours[-1].unit}, {len(pids)} processes")

    def same(self, release: Release, then: Answer, now: Answer) -> bool:
        """The main process of each instance of *release* that was up is still the one it was; older ones may die."""
        up = (i for i in self.instances(then) if i.active == "active" and i.release == release)
        before = {(i.unit, i.main, i.restarts) for i in up}
        return before <= {(i.unit, i.main, i.restarts) for i in self.instances(now)}

    def owns(self, running: Running, facts: Facts) -> bool:
        """What runs in one of its units."""
        return running.unit.startswith(f"{self.unit}@")

    def accepts(self, running: Running, facts: Facts) -> bool:
        """What runs in an instance that was not told to stop."""
        up = (i.unit for i in self.instances(facts.answer) if i.active in ("active", "reloading"))
        return running.unit in up

    def instances(self, answer: Answer) -> tuple[Instance, ...]:
        """Every instance that systemd knows, failed ones too."""
        return tuple(map(Instance.parse, answer.all(f"{self.name}.instance")))

    def _start(self, switch: Switch) -> Step:
        health = self.settings.health
        asked = f", ask {health.url}" if health else ""
        values = self._filled(switch)
        return Step(
            "start",
            values,
            f"start {self.unit}@{switch.release}.{switch.number}{asked}",
            template="systemd/start",
            undo=Step("stop", values, "stop the new instance", template="systemd/stop", process=self.name),
            process=self.name,
            timeout_s=self.limit_s,
        )

    def _filled(self, switch: Switch) -> Mapping[str, object]:
        return {"root": self.root, "process": self.values(switch)}


def _public(listen: str) -> str:
    """The address that reaches what listens there from the host itself.

    >>> _public("0.0.0.0:80"), _public("[::]:80"), _public("/run/shop.sock")
    ('http://127.0.0.1:80', 'http://[::1]:80', 'http://localhost')
    """
    if listen.startswith("/"):
        return "http://localhost"
    return "http://" + listen.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:")


def _names(found: Iterable[Release]) -> str:
    return ", ".join(sorted(release.name for release in found))
