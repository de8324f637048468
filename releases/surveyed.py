"""One host of a deploy, with what is wanted of it and what was found there."""

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from . import hearsay
from .answer import Answer
from .balancers.command import Command
from .balancers.kind import Balancer
from .balancers.kinds import balancer
from .config import Config
from .errors import Refused
from .facts import Facts
from .history import Event, History
from .layout import Layout, Release
from .processes.kind import Kind

NEEDED = ("flock", "tar", "gzip", "sha256sum", "awk", "xargs")
ASKERS = ("curl", "python3", "perl")


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What deploy, rollback and the others decide from."""

    name: str
    address: str
    config: Config
    kinds: tuple[Kind, ...]
    facts: Facts
    untold: tuple[Event, ...] = ()
    group: str = ""  # NAME of [hosts.NAME]
    rotation: Answer | None = None  # what its balancer has said, if it was asked
    order: int = 0  # its place in deploy.toml

    def knowing(self, others: "Iterable[Surveyed]") -> "Surveyed":
        """The same with what *others* know of the fleet, and of the database that they share; its next deploy
        writes that down.
        """
        own, others = self.facts.history, [other for other in others if other.config.app == self.config.app]
        database = own.untold(other.facts.history for other in others if other.shares_with(self))
        fleet = hearsay.untold(own, (other.facts.history for other in others))
        history = History((*own.events, *database, *fleet))
        told = (*database, *hearsay.latest(fleet))
        return replace(self, facts=replace(self.facts, history=history), untold=told)

    def shares_with(self, other: "Surveyed") -> bool:
        """Do both have the same database behind them, of which one of them runs the migrations?"""
        ours, theirs = self.config.migrations, other.config.migrations
        if not ours or not theirs or "each" in (ours.run_on, theirs.run_on):
            return False
        return ours.database == theirs.database

    def leader(self, hosts: "tuple[Surveyed, ...]") -> "Surveyed":
        """Which of *hosts* with its database runs the migrations: the first in deploy.toml, whichever order was asked
        for; itself where nobody shares it.
        """
        return min((host for host in hosts if host.shares_with(self)), key=lambda host: host.order, default=self)

    @property
    def balancer(self) -> Balancer | None:
        """Who brings it its traffic."""
        return balancer(self.name, self.address, self.config)

    @property
    def kept_out(self) -> str:
        """Why it is out of rotation, and stays there whatever we do; a host where nothing is live never does."""
        if not self.balancer or not self.rotation or not self.facts.live:
            return ""
        return self.balancer.kept_out(self.rotation)

    @property
    def left_out(self) -> bool:
        """Is it out of rotation, though nobody wants it so?"""
        return bool(self.balancer and self.rotation and self.balancer.left_out(self.rotation))

    @property
    def comes_back(self) -> bool:
        """Is it known what brings it back from where a deploy that died has left it, and its mark?"""
        return isinstance(self.balancer, Command)

    @property
    def way_back(self) -> str:
        """What ends that."""
        if self.comes_back:
            return "the next deploy or rollback brings it back"
        mark = f"{self.layout.private}/drained"
        return f"its `undrain` is in deploy.toml no more: bring it back by hand, then `rm {mark}`"

    @property
    def layout(self) -> Layout:
        """Names and paths on it."""
        return Layout(self.config.root)

    def root_problem(self) -> Refused | None:
        """Why nothing can be done below the root, with the command that makes it right."""
        root = self.config.root
        match self.facts.answer.one("root"):
            case "ok":
                return None
            case "missing":
                return Refused(f"{self.name}: {root} does not exist", hint=self._making_root())
            case "file":
                return Refused(
                    f"{self.name}: {root} is a file, not a directory", hint="give another root in deploy.toml"
                )
            case _:
                user = self.facts.answer.one("user")
                return Refused(f"{self.name}: {user} may not write in {root}", hint=self._making_root())

    def app_problem(self) -> Refused | None:
        """Why the root is not ours: another application lives there. One that does not say so is taken for ours."""
        root, owner, app = self.config.root, self.facts.answer.one("app"), self.config.app
        if owner in ("", app):
            return None
        return Refused(
            f"{self.name}: {root} is the root of {owner}, not of {app}",
            hint=f"give {app} another root in deploy.toml; if {owner} is called {app} from now on, remove"
            f" {self.layout.private}/app on the host",
        )

    def link_problem(self) -> Refused | None:
        """Why what is live cannot be told."""
        facts, current = self.facts, self.layout.current
        hint = f"move it away: mv {current} {self.config.root}/before-switchover"
        if facts.live_kind == "other":
            return Refused(f"{self.name}: {current} is not a link, so no rename can replace it", hint=hint)
        if facts.live_text and not facts.live:
            why = f"{current} points to {facts.live_text}, which is none of our releases"
            return Refused(f"{self.name}: {why}", hint=hint)
        return None

    def _making_root(self) -> str:
        user = self.facts.answer.one("user") or "deploy"
        return f"on the host, once: sudo install -d -o {user} {self.config.root}"

    def problems(self) -> Iterator[Refused]:
        """What stands in the way of a switch, the worst first; doctor shows them all."""
        facts = self.facts
        if problem := self.root_problem() or self.app_problem() or self.link_problem():
            yield problem
        if self.root_problem() or self.app_problem():
            return
        for tool in NEEDED:
            if tool not in facts.tools:
                yield Refused(f"{self.name}: the host has no {tool}", hint="install it there")
        if self._asks() and not facts.tools & set(ASKERS):
            yield Refused(
                f"{self.name}: nothing there can ask a health URL", hint="install curl, python3 or perl there"
            )
        for path in facts.missing:
            yield Refused(
                f"{self.name}: shared/{path} is missing",
                hint=f"upload it: {uploading(path, self.address, str(self.config.root))}",
            )
        if self.balancer and self.rotation and (problem := self.balancer.problem(self.rotation)):
            yield problem
        for kind in self.kinds:
            yield from (Refused(f"{self.name}: {why}") for why in kind.conditions(facts))

    def check_schema(self, release: Release) -> None:
        """Raise `Refused` where a contract migration has run that *release* does not know."""
        history, complete = self.facts.history, self.facts.complete
        if passed := history.beyond(release):
            others = (r for r in history.proven if r in complete and r != self.facts.live)
            safe = [r.name for r in others if not history.beyond(r)]
            raise Refused(
                f"{self.name}: the schema is past {release}: contract migration {passed} has run since",
                hint=f"still safe: {', '.join(safe) or 'none: deploy a fix instead'}",
            )

    def check(self) -> None:
        """Raise the first of the `problems`."""
        for problem in self.problems():
            raise problem

    def _asks(self) -> bool:
        return bool(self.config.health) or any(kind.values()["url"] for kind in self.kinds)


def uploading(path: str, address: str, root: str) -> str:
    """The command that uploads a shared file; its directory may not be there before the first deploy.

    >>> uploading(".env", "ana@web1:2222", "/srv/shop")
    'ssh -p 2222 ana@web1 mkdir -p /srv/shop/shared && scp -P 2222 .env ana@web1:/srv/shop/shared/.env'
    >>> uploading("conf/app.ini", "web1", "/srv/shop")
    'ssh web1 mkdir -p /srv/shop/shared/conf && scp conf/app.ini web1:/srv/shop/shared/conf/app.ini'
    """
    host, colon, port = address.rpartition(":")
    if not (colon and port.isdigit()):
        host, port = address, ""
    file, there = shlex.quote(path), shlex.quote(f"{host}:{root}/shared/{path}")
    folder = shlex.quote(shlex.quote(f"{root}/shared/{path}".rpartition("/")[0]))
    make = f"ssh {f'-p {port} ' if port else ''}{host} mkdir -p {folder}"
    return f"{make} && scp {f'-P {port} ' if port else ''}{file} {there}"
