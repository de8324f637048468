"""What every kind of load balancer can do for one host; a new kind is one more module and a line in `kinds`."""

import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import ClassVar, Generic, Protocol, TypeVar

from .. import balancing
from ..addresses import named, split
from ..answer import Answer
from ..balancing import Placed
from ..errors import Refused
from ..plan import Judge, Step, Verdict


class Balancer(Protocol):
    """The balancer of one host of a deploy."""

    @property
    def via(self) -> str:
        """Whose session tells it: the balancer's own, or "" for that of the host."""
        ...

    @property
    def pool(self) -> str:
        """The same for hosts that stand in for each other."""
        ...

    @property
    def counts(self) -> bool:
        """Can it tell by itself that nobody else would be left?"""
        ...

    def check(self) -> Step | None:
        """Ask it whether it could do what is wanted of it; changes nothing."""
        ...

    def problem(self, answer: Answer) -> Refused | None:
        """Why it could not, by its answer to `check`."""
        ...

    def kept_out(self, answer: Answer) -> str:
        """Why the host is to be left as it is, somebody having taken it out on purpose; empty when nobody has."""
        ...

    def left_out(self, answer: Answer) -> bool:
        """By its answer to `check`: is the host out, though nobody wants it so?"""
        ...

    def ask(self) -> Step | None:
        """Ask it how it sees the host; cheap, and changes nothing."""
        ...

    def state(self, answer: Answer) -> str:
        """What it says of the host, by its answer to `ask`: `IN`, `OUT`, or a few words."""
        ...

    def drain(self, number: int) -> tuple[Step, ...]:
        """Take the host out in deploy *number*, and wait until it has nothing left to do: `plan.LEAVING`."""
        ...

    def undrain(self, number: int) -> tuple[Step, ...]:
        """Bring it back, and wait until it is served again: `plan.RETURNING`. Doing either twice changes nothing."""
        ...


IN, OUT, UNKNOWN = "in rotation", "drained", "not known there"
S = TypeVar("S", balancing.HAProxy, balancing.Nginx)


@dataclass(frozen=True, slots=True)
class Told(Generic[S]):
    """One server of a balancer that is told over a session: that of its own host, or that of the host of the deploy."""

    host: str
    server: str
    root: PurePosixPath
    settings: S

    limit_s: ClassVar[float] = 60.0

    @property
    def via(self) -> str:
        """The session with its host."""
        return session(self.settings, self.root)

    @property
    def counts(self) -> bool:
        """It sees which others are in rotation."""
        return True

    def step(
        self,
        template: str,
        says: str,
        name: str = "",
        judge: Judge | None = None,
        patience_s: float = 0.0,
        **more: object,
    ) -> Step:
        """One script of its kind, about its server; `drained` may run out of patience."""
        named = {key: value for key, value in self.settings if key not in ("kind", "host", "drain_s", "wait_s")}
        return Step(
            name or template,
            {**named, "root": at(self.settings, self.root), "server": self.server, **more},
            says,
            template=f"balancers/{self.settings.kind}/{template}",
            judge=judge,
            timeout_s=self.limit_s,
            patience_s=patience_s,
            process=self.server,
            via=self.via,
            lenient=name == "drained",
        )


def session(settings: Placed, root: PurePosixPath) -> str:
    """The name of the session with the balancer's host; empty where it is the host of the deploy itself."""
    return f"balancer {place(settings)}:{settings.root or root}" if settings.host else ""


def at(settings: Placed, root: PurePosixPath) -> PurePosixPath:
    """Where the lock and the arm of the balancer lie."""
    return (settings.root or root) if settings.host else root


def place(settings: Placed) -> str:
    """Where it runs, for people."""
    return named(*split(settings.host)[1:]) if settings.host else "this host"


def guarded(drained: tuple[Step, ...], undrain: Step, number: int, server: str) -> tuple[Step, ...]:
    """Before a host is taken out elsewhere, that place is told how it comes back if nobody says so any more.

    On the host of the deploy it is part of what takes the switch back.
    """
    first, *rest = drained
    if not undrain.via:
        return (replace(first, undo=undrain), *rest)
    says = f"arm the balancer's host: from here on it makes {server} ready by itself"
    values = {"root": undrain.values["root"], "number": arm(server, number)}
    return (Step("guard", values, says, template="arm", undo=undrain, via=undrain.via, process=server), *drained)


def unguarded(returned: tuple[Step, ...], number: int, server: str) -> tuple[Step, ...]:
    """And it is told that this is done."""
    undrain = returned[0]
    if not undrain.via:
        return returned
    values, says = {"root": undrain.values["root"], "number": arm(server, number)}, "disarm the balancer's host"
    template = "balancers/unguard"
    return (*returned, Step("unguard", values, says, template=template, via=undrain.via, process=server))


def apart(who: str, answer: Answer) -> Refused | None:
    """What is wrong with where the balancer has its lock and its arms: it is not there, or an app is."""
    if missing := answer.one("missing"):
        return Refused(f"{who}: {missing} does not exist", hint=f"on that host, once: sudo install -d {missing}")
    if not answer.one("live"):
        return None
    return Refused(
        f"{who}: there is an app in {answer.one('root')}, so the balancer cannot have its lock there",
        hint="give it a directory of its own on that host: balancer.root in deploy.toml",
    )


def alone(answer: Answer) -> Verdict:
    """Who is the last one in rotation is not taken out."""
    if answer.one("alone"):
        return Verdict(note="nobody else is in rotation: it stays there", skips=frozenset({"drained"}))
    return Verdict()


def marked(answer: Answer) -> str:
    """How it is, where that is a mark: it is down, or not."""
    return {"up": IN, "down": OUT}.get(answer.one("state"), UNKNOWN)


def arm(server: str, number: int) -> str:
    """What an arm of the balancer's host is called.

    >>> arm("unix:/run/shop.sock", 7)
    'unix:_run_shop.sock.7'
    """
    return f"{re.sub('[^A-Za-z0-9_.:-]', '_', server)}.{number}"
