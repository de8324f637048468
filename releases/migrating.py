"""migrate and contract: the migrations of the live release, apart from a deploy."""

from .canary import check_none_waits
from .errors import Refused
from .layout import Release
from .migrations import command as migrations
from .plan import Plan, Step
from .processes.kind import Switch
from .steps import share
from .surveyed import Surveyed
from .switching import Author, began, ended, number


def migrate(hosts: tuple[Surveyed, ...], author: Author) -> Plan:
    """Plan the expand migrations of what is live."""
    return _plan(hosts, author, "migrate")


def contract(hosts: tuple[Surveyed, ...], author: Author) -> Plan:
    """Plan the contract migrations of what is live; refused while a process runs code that may need the old schema."""
    check_none_waits(hosts)
    live = _live(hosts[0])
    for host in hosts:
        if host.facts.live != live:
            raise Refused(
                f"{host.name}: live is {host.facts.live or 'nothing'}, not {live} as on {hosts[0].name}",
                hint=f"bring it there first: `inv deploy --release {live}`",
            )
        for running in host.facts.running:
            if others := running.uses - {live}:
                raise Refused(
                    f"{host.name}: process {running.pid} ({running.command}) still runs {', '.join(map(str, others))}",
                    hint="`inv ps` shows who drains; contract when it is gone",
                )
    return _plan(hosts, author, "contract")


def _plan(hosts: tuple[Surveyed, ...], author: Author, verb: str) -> Plan:
    n, plan = number(hosts), dict[str, tuple[Step, ...]]()
    live = _live(hosts[0])
    for host in hosts:
        settings = host.config.migrations
        if not settings or (verb == "contract" and not settings.contract):
            missing = "[migrations]" if not settings else "migrations.contract"
            raise Refused(f"{host.name}: deploy.toml has no {missing}")
        if (leader := host.leader(hosts)) is not host:
            plan[host.name] = (share(host.layout, leader.name),)
            continue
        switch = Switch(host.config.root, n, live, live)
        steps = (
            migrations.steps(settings, switch, initial=False)
            if verb == "migrate"
            else migrations.contract(settings, switch)
        )
        plan[host.name] = (*began(host, switch, verb, author), *steps, ended(host, switch, verb))
    return Plan(verb, n, live, live, plan)


def _live(host: Surveyed) -> Release:
    if not host.facts.live:
        raise Refused(f"{host.name}: nothing is live", hint="`inv deploy` runs the migrations of what it ships")
    return host.facts.live
