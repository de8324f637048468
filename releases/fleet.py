"""The hosts of one command: connected, locked, surveyed; plans are carried over them by `carry`."""

import base64
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from fabric import Connection

from .answer import Answer
from .balancers.hosts import balancers
from .cache import remember, remembered
from .config import Target
from .dialing import Dialing
from .errors import OutcomeUnknown, ReleaseError, Unreachable
from .facts import Facts
from .layout import Release
from .locking import Locking
from .manifest import Manifest, ManifestError
from .plan import Step
from .processes.kinds import kinds
from .report import Report
from .scripts import make_ready
from .sessions import Sessions
from .surveyed import Surveyed
from .switching import Author
from .together import check_apart
from .units import Account, digests


class Fleet(Sessions):
    """Sessions with *targets*, and what was found true of them: `hosts`, and who was left `unreached`."""

    def __init__(
        self, targets: tuple[Target, ...], report: Report, author: Author, dialing: Dialing | None = None
    ) -> None:
        super().__init__(targets, report, author, dialing)
        self.hosts: tuple[Surveyed, ...] = ()
        self.locking = Locking(self)

    def open(
        self, *, locked: bool, wait_s: float = 0.0, balanced: bool = False, partly: bool = False
    ) -> tuple[Surveyed, ...]:
        """Connect to all hosts at once, lock them in one order or none, settle what was left, and survey them.

        *balanced*: and to the hosts of their balancers, which are asked how they are. *partly*: who cannot be reached
        is left out, and `unreached`, while anybody can.

        Raises `LockHeld` when one is busy for longer than *wait_s*, `Unreachable`, `HostKeyRefused` or `Refused`; then
        no session is left open.
        """
        self.places = {**self.targets, **(balancers(self.targets) if balanced else {})}
        connections: dict[str, Connection] = {}
        try:
            threading.Thread(target=make_ready, name="templates", daemon=True).start()
            self.connect(connections, partly=partly)
            self.locking.take(connections, locked=locked, wait_s=wait_s)
            found = tuple(self.at_once(self.targets, self.survey).values())
            check_apart(found)
            for host in found if locked else ():
                if problem := host.app_problem():
                    raise problem
            found = tuple(self.at_once(self.targets, lambda n: self._asked(n, found)).values()) if balanced else found
            self.hosts = tuple(host.knowing(found) for host in found)
            for host in self.hosts if locked and balanced else ():
                self._bring_back(host)
        except BaseException as error:
            self.close()
            for connection in connections.values():
                connection.close()
            if isinstance(error, OutcomeUnknown):
                raise Unreachable(f"{error.known}: nothing was begun") from error
            raise
        return self.hosts

    def look(self, places: Mapping[str, Target]) -> Mapping[str, Answer | ReleaseError]:
        """Sessions with *places*, too, without their locks: who holds each, and what is armed there, or why not."""
        self.places = {**self.places, **places}
        return self.each(places, self._looked)

    def _looked(self, name: str) -> Answer:
        self.locking.dial(name, locked=False, wait_s=0.0)
        return self.run(name, Step("lock", {"root": self.places[name].config.root}, ""))

    def rejoin(self, name: str, *, within_s: float) -> None:
        """A new session with a place whose line dropped; it settles what was left. Raises as `open` does."""
        self.locking.rejoin(name, within_s=within_s)

    def reopen(self, name: str, *, within_s: float) -> Surveyed:
        """A new session with a host whose line dropped, and what is true there. Raises as `open` does."""
        self.rejoin(name, within_s=within_s)
        return self.survey(name)

    def peek(self, name: str) -> Surveyed:
        """What is true on a host whose lock somebody else has; no session stays. Raises as `open` does."""
        self.locking.dial(name, locked=False, wait_s=0.0)
        try:
            return self.survey(name)
        finally:
            self.sessions.pop(name).close()

    def manifest(self, host: Surveyed, release: Release) -> Manifest | None:
        """The manifest of a complete release: as we remember it, else from the host; None when it cannot be read.

        `Unreachable` when the line drops: to read changes nothing.
        """
        if found := _whole(remembered(release) or b"", release):
            return found
        step = Step("manifest", {"root": host.config.root, "release": release}, "")
        try:
            packed = base64.b64decode(self.run(host.name, step).one("manifest"))
        except OutcomeUnknown as error:
            raise Unreachable(f"{error.known}: nothing was begun") from error
        if found := _whole(packed, release):
            remember(release, packed)
        return found

    def survey(self, name: str) -> Surveyed:
        """Ask one host, over its open session, for all that `Facts` knows."""
        target = self.targets[name]
        answer = self.run(name, self.surveying(name))
        found = kinds(target.config, digests(target.config, Account.of(answer)))
        facts = Facts.of(name, answer, now=datetime.now(UTC))
        return Surveyed(name, target.address, target.config, found, facts, group=target.group, order=target.order)

    def _asked(self, name: str, found: tuple[Surveyed, ...]) -> Surveyed:
        """The host with what its balancer says of itself."""
        host = next(host for host in found if host.name == name)
        step = host.balancer.check() if host.balancer and not host.root_problem() else None
        return replace(host, rotation=self.run(name, step)) if step else host

    def _bring_back(self, host: Surveyed) -> None:
        """Who was left out of rotation by a deploy that has died, and can only be brought back from here."""
        if not host.facts.drained:
            return
        what = "it is brought back" if host.comes_back else host.way_back
        self.report.say(f"deploy {host.facts.drained} had died, and left it out of rotation: {what}", host.name)
        if not host.balancer or not host.comes_back:
            return
        for step in host.balancer.undrain(int(host.facts.drained) if host.facts.drained.isdigit() else 0):
            self.run(host.name, step)
        self.report.event("undrained", host.name, deploy=host.facts.drained)


def _whole(packed: bytes, release: Release) -> Manifest | None:
    """The manifest of *release*, if it is that."""
    try:
        manifest = Manifest.unpacked(packed)
    except ManifestError:
        return None
    return manifest if manifest.digest.startswith(release.short_digest) else None
