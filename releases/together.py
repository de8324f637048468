"""What is wrong with hosts only when they are looked at together."""

from collections.abc import Iterable

from .errors import Refused
from .surveyed import Surveyed


def check_apart(hosts: Iterable[Surveyed]) -> None:
    """Raise `Refused` when two of *hosts* are one root of one machine under two names; two roots of one are fine."""
    seen: dict[str, str] = {}
    for host in hosts:
        if (identity := host.facts.identity) and (other := seen.setdefault(identity, host.name)) != host.name:
            raise twice(other, host.name)


def twice(one: str, other: str) -> Refused:
    """That two names are of one root on one machine."""
    return Refused(f"{one} and {other} are one root on one machine", hint="name it once, in deploy.toml or with --host")
