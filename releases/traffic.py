"""What `status` says of what a balancer has told of a host, and who brings back one that was left out."""

from collections.abc import Mapping
from dataclasses import dataclass

from .answer import Answer
from .balancers.kind import OUT, arm
from .errors import ReleaseError
from .holder import Holder
from .surveyed import Surveyed

Told = Answer | ReleaseError


@dataclass(frozen=True, slots=True)
class Traffic:
    """The *state* of one host at its balancer in a word or two, empty where it has none; a *note* for people."""

    state: str = ""
    note: str = ""


NONE = Traffic()


def seen(host: Surveyed, told: Told, elsewhere: Mapping[str, Told]) -> Traffic:
    """What its balancer *told*, and who brings it back where it is out; *elsewhere* is what `places` says."""
    balancer = host.balancer
    if not balancer:
        return NONE
    if isinstance(told, ReleaseError):
        return Traffic("?", f"its balancer cannot be asked: {told}")
    if not balancer.ask():  # status has a note of its own about the mark
        return Traffic(OUT if host.facts.drained else "")
    if (state := balancer.state(told)) != OUT:
        return Traffic(state)
    place = elsewhere.get(balancer.via)
    return Traffic(state, _settled(host, place if isinstance(place, Answer) else None))


def _settled(host: Surveyed, place: Answer | None) -> str:
    """Who brings a drained host back: whoever is at work, what is armed on *place* (the host itself, without one)."""
    if host.facts.locked:
        return ""  # is noted already
    if place and place.one("locked"):
        return f"its balancer's host is locked by {Holder.parse(place.one('holder'))}"
    named = arm(getattr(host.balancer, "server", ""), 0).rpartition(".")[0]
    parts = [name.rpartition(".") for name in place.all("armed")] if place else []
    armed = [number for server, _, number in parts if server == named] if place else host.facts.armed
    if not armed:
        return "out of rotation, and nothing is armed to bring it back: a deploy that drains it does, or you do"
    where = "the balancer's host" if place else "it"
    return f"left out of rotation by deploy {armed[0]}: {where} settles that by itself, or the next deploy or rollback"
