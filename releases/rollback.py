"""rollback: back to the newest proven release before this one, by the same switch, with the same proof."""

from . import steps
from .errors import Refused
from .history import History
from .layout import Release
from .plan import Plan
from .processes.kind import Switch
from .surveyed import Surveyed
from .switching import Author, began, local, number, rehearse, switch_over


def rollback(hosts: tuple[Surveyed, ...], author: Author, *, to: str | None = None) -> Plan:
    """Plan to go back to *to* (None: the newest proven release before the live one that is not bad).

    The release that is left is marked bad. Raises `Refused` when there is none, or the schema is past it.
    """
    for host in hosts:
        host.check()
    target = Release.named(to) if to is not None else _common(hosts)
    n = number(hosts)
    plan = {}
    for host in hosts:
        _check(host, target)
        switch = Switch(
            host.config.root,
            n,
            target,
            host.facts.live,
            replaced=not host.facts.same_environment(target, host.facts.live),
        )
        plan[host.name] = (
            began(host, switch, "rollback", author),
            steps.verify(host.layout, target),
            *rehearse(host, switch),
            *switch_over(host, switch),
        )
    return Plan("rollback", n, target, hosts[0].facts.live, plan, local=local(hosts[0]))


def _common(hosts: tuple[Surveyed, ...]) -> Release:
    """The newest target that every host has."""
    target = hosts[0].facts.target
    if not target and not hosts[0].facts.live:
        raise Refused(f"{hosts[0].name}: nothing is live to go back from", hint="`inv deploy` makes a first release")
    if not target:
        raise Refused(
            f"{hosts[0].name}: there is no proven release before {hosts[0].facts.live}",
            hint="`inv releases` lists what is there; `inv rollback --to ID` goes to one by name",
        )
    return target


def _check(host: Surveyed, target: Release) -> None:
    facts = host.facts
    if target == facts.live:
        raise Refused(f"{host.name}: {target} is live already")
    if target not in facts.complete:
        raise Refused(f"{host.name}: there is no complete release {target}", hint="`inv releases` lists them")
    if target not in facts.history.proven:
        raise Refused(
            f"{host.name}: {target} was never live and proven",
            hint=f"`inv deploy --release {target}` proves it first",
        )
    if passed := beyond(facts.history, target):
        safe = [r.name for r in facts.history.proven if r in facts.complete and not beyond(facts.history, r)]
        raise Refused(
            f"{host.name}: the schema is past {target}: contract migration {passed} has run since",
            hint=f"still safe: {', '.join(n for n in safe if n != str(facts.live)) or 'none: deploy a fix instead'}",
        )


def beyond(history: History, target: Release) -> str:
    """The contract migration that ran and that *target* does not know; empty when there is none.

    A release knows what was run by itself or an older one, and what it listed as pending when it was deployed.
    """
    order = [r.name for e in history.events if e["event"] == "deploy" and (r := Release.parse(str(e.get("release"))))]
    age = {name: i for i, name in reversed(list(enumerate(order)))}
    known = {
        str(left).removeprefix("contract ")
        for event in history.migrated
        if event.get("release") == target.name
        for left in event.get("left", ())
        if str(left).startswith("contract ")
    }
    for event in history.migrated:
        newer = age.get(str(event.get("release")), len(order)) > age.get(target.name, -1)
        if event.get("phase") == "contract" and newer:
            for name in event.get("names", ()):
                if name not in known:
                    return str(name)
    return ""
