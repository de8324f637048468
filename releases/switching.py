"""What a deploy and a rollback have in common: rehearse, arm, rename, reload, prove, confirm."""

from collections.abc import Mapping
from dataclasses import dataclass

from . import steps
from .history import prefix
from .plan import Phase, Step
from .processes.kind import Switch
from .surveyed import Surveyed


@dataclass(frozen=True, slots=True)
class Author:
    """Who deploys, and from where; *ci* is the link to the job, if it is one."""

    who: str
    place: str
    ci: str = ""

    @property
    def event(self) -> Mapping[str, str]:
        """As the journal has it."""
        return {"by": self.who, "place": self.place} | ({"ci": self.ci} if self.ci else {})


def number(hosts: tuple[Surveyed, ...]) -> int:
    """The number of the next deploy: one more than any host has seen."""
    return 1 + max((host.facts.history.number for host in hosts), default=0)


def began(host: Surveyed, switch: Switch, verb: str, author: Author, **more: str) -> Step:
    """Write into the journal who begins what."""
    event = {
        "event": "deploy",
        "deploy": switch.number,
        "verb": verb,
        "release": switch.release.name,
        "previous": switch.previous.name if switch.previous else "",
        **{key: value for key, value in more.items() if value},
        **author.event,
    }
    return steps.begin(host.layout, prefix(event))


def ended(host: Surveyed, switch: Switch, verb: str) -> Step:
    """Write into the journal that what switches nothing is done."""
    event = {"event": "done", "deploy": switch.number, "verb": verb, "release": switch.release.name}
    return steps.end(host.layout, prefix(event), Phase.EXPAND)


def local(host: Surveyed) -> Mapping[str, tuple[str, ...]]:
    """The hooks of the controller; those of the leader's deploy.toml count."""
    hooks = host.config.hooks.local
    return {"before_switch": hooks.before_switch, "after_switch": hooks.after_switch}


def rehearse(host: Surveyed, switch: Switch) -> tuple[Step, ...]:
    """Boot every process that can be asked, where no client reaches it."""
    return tuple(step for kind in host.kinds for step in kind.rehearse(switch, host.facts))


def switch_over(host: Surveyed, switch: Switch) -> tuple[Step, ...]:
    """From the first step that is taken back to the one that ends it."""
    config, layout, hooks = host.config, host.layout, host.config.hooks
    waits = [float(str(kind.values()["wait_s"])) for kind in host.kinds]
    wait_s = max([0.0, *waits, config.health.wait_s if config.health else 0.0])
    return (
        *_hook("before_switch", hooks.before_switch, switch, hooks.timeout_s),
        steps.arm(switch),
        *(step for kind in host.kinds for step in kind.before(switch)),
        steps.publish(layout, switch.release, switch.previous),
        *(step for kind in host.kinds for step in kind.after(switch)),
        *_hook("after_switch", hooks.after_switch, switch, hooks.timeout_s),
        steps.prove(config, switch.release, host.kinds, switch, wait_s=wait_s),
        steps.settled(config, switch.release, host.kinds, switch, wait_s=wait_s),
        steps.confirm(layout, switch.number),
        *(step for kind in host.kinds for step in kind.finish(switch)),
        steps.finish(layout, switch.number),
    )


def _hook(name: str, run: tuple[str, ...], switch: Switch, timeout_s: float) -> tuple[Step, ...]:
    return (steps.commands(name, run, switch, phase=Phase.SWITCH, timeout_s=timeout_s),) if run else ()
