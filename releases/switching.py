"""What a deploy and a rollback have in common: rehearse, arm, rename, reload, prove, confirm."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from . import proofs, steps
from .hearsay import parted
from .history import line, prefix
from .layout import Release
from .plan import Batch, Phase, Step
from .processes.kind import Switch
from .strategies import batches
from .surveyed import Surveyed


class Fleetwide(TypedDict):
    """The parts of a plan that are no host's own."""

    local: Mapping[str, tuple[str, ...]]
    local_s: float
    batches: tuple[Batch, ...]
    keeps: bool


@dataclass(frozen=True, slots=True)
class Author:
    """Who deploys, and from where; *ci* is the link to the job, if it is one; *without*: the hosts they left out."""

    who: str
    place: str
    ci: str = ""
    without: tuple[str, ...] = ()

    @property
    def event(self) -> Mapping[str, object]:
        """As the journal has it."""
        more = {"ci": self.ci, "without": list(self.without)}
        return {"by": self.who, "place": self.place} | {key: value for key, value in more.items() if value}


def number(hosts: tuple[Surveyed, ...]) -> int:
    """The number of the next deploy: one more than any host has seen."""
    return 1 + max((host.facts.history.number for host in hosts), default=0)


def began(host: Surveyed, switch: Switch, verb: str, author: Author, **more: str) -> tuple[Step, ...]:
    """Write into the journal who begins what; ahead of it, in as many steps as it takes, what other hosts know."""
    event = {
        "event": "deploy",
        "deploy": switch.number,
        "verb": verb,
        "release": switch.release.name,
        "previous": switch.previous.name if switch.previous else "",
        **{key: value for key, value in more.items() if value},
        **author.event,
    }
    *ahead, last = parted(tuple(map(line, host.untold)))
    begin = steps.begin(host.layout, prefix(event), last, app=host.config.app)
    return (*(steps.tell(host.layout, part) for part in ahead), begin)


def ended(host: Surveyed, switch: Switch, verb: str) -> Step:
    """Write into the journal that what switches nothing is done."""
    event = {"event": "done", "deploy": switch.number, "verb": verb, "release": switch.release.name}
    return steps.end(host.layout, prefix(event), Phase.EXPAND)


def fleetwide(hosts: tuple[Surveyed, ...]) -> Fleetwide:
    """What the leader's deploy.toml says of the controller's hooks, and of the order in which hosts switch."""
    hooks, strategy = hosts[0].config.hooks, hosts[0].config.strategy
    return {
        "local": {"before_switch": hooks.local.before_switch, "after_switch": hooks.local.after_switch},
        "local_s": hooks.timeout_s,
        "batches": batches(strategy, hosts) if len(hosts) > 1 else (),
        "keeps": strategy.on_failure == "stop",
    }


def known(host: Surveyed, n: int, release: Release) -> Switch:
    """The switch to a *release* that lies on the host already."""
    same = host.facts.same_environment(release, host.facts.live)
    return Switch(host.config.root, n, release, host.facts.live, replaced=not same)


def switched_to(host: Surveyed, switch: Switch, verb: str, author: Author, *first: Step) -> tuple[Step, ...]:
    """Everything that makes such a release live; *first* comes once it was verified."""
    verify = steps.verify(host.layout, switch.release)
    return (*began(host, switch, verb, author), verify, *first, *rehearse(host, switch), *switch_over(host, switch))


def notes(hosts: tuple[Surveyed, ...], release: Release) -> tuple[str, ...]:
    """What is worth knowing before such a switch: what is taken back first, which processes are replaced."""
    environment = [h for h in hosts if h.config.prepare.environment and known(h, 0, release).replaced]
    changed = [f"{h.name}: processes are replaced: the environment of {release} is another" for h in environment]
    return (*unsettled(hosts), *changed)


def unsettled(hosts: tuple[Surveyed, ...]) -> tuple[str, ...]:
    """The deploys that died, of which the first step is to take them back."""
    return tuple(
        f"{h.name}: deploy {n} was not confirmed; it is taken back first" for h in hosts for n in h.facts.armed
    )


def rehearse(host: Surveyed, switch: Switch) -> tuple[Step, ...]:
    """Boot every process that can be asked, where no client reaches it."""
    return tuple(step for kind in host.kinds for step in kind.rehearse(switch, host.facts))


def switch_over(host: Surveyed, switch: Switch) -> tuple[Step, ...]:
    """From the first step that is taken back to the one that ends it."""
    config, layout, hooks = host.config, host.layout, host.config.hooks
    wait_s, prove_s = (_longest(host, key) for key in ("wait_s", "prove_s"))
    return (
        *_hook("before_switch", hooks.before_switch, switch, hooks.timeout_s),
        steps.arm(switch),
        *(step for kind in host.kinds for step in kind.before(switch)),
        steps.publish(layout, switch.release, switch.previous),
        *(step for kind in host.kinds for step in kind.after(switch, host.facts)),
        *_hook("after_switch", hooks.after_switch, switch, hooks.timeout_s),
        proofs.prove(config, switch.release, host.kinds, switch, wait_s=prove_s),
        proofs.settled(config, switch.release, host.kinds, switch, wait_s=wait_s),
        steps.confirm(layout, switch.number),
        *(step for kind in host.kinds for step in kind.finish(switch)),
        steps.finish(layout, switch.number),
    )


def _longest(host: Surveyed, key: str) -> float:
    waits = [float(str(kind.values()[key])) for kind in host.kinds]
    return max([0.0, *waits, host.config.health.wait_s if host.config.health else 0.0])


def _hook(name: str, run: tuple[str, ...], switch: Switch, timeout_s: float) -> tuple[Step, ...]:
    return (steps.commands(name, run, switch, phase=Phase.SWITCH, timeout_s=timeout_s),) if run else ()
