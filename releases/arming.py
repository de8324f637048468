"""The arm of a switch: the scripts that take it back and that end it, written down on the host before it is made."""

from dataclasses import replace

from . import steps
from .history import prefix
from .plan import Plan, Step
from .processes.kind import Switch
from .scripts import quoted, render


def armed(plan: Plan, name: str, step: Step, switch: Switch) -> Step:
    """The arm of one host with the scripts that take this plan back, and those that end it."""
    previous = f"releases/{switch.previous}" if switch.previous else ""
    event = {"deploy": plan.number, "release": str(plan.release), "verb": plan.verb}
    waiter = render(Step("waiter", {"root": step.values["root"]}, ""))
    more = {
        "previous": previous,
        "takeback": _sequence(tuple(steps.filled(s, switch) for s in plan.takes_back(name))),
        "finish": _sequence(plan.finishes(name)),
        "live": prefix({"event": "live", **event, "previous": str(switch.previous or "")}),
        "reverted": prefix({"event": "reverted", **event, "to": str(switch.previous or "")}),
        "keep": False,
        "waiter": waiter,
    }
    return replace(step, values={**step.values, **more})


def guarded(step: Step, number: int) -> Step:
    """The arm of a balancer's host, which brings one server back; the same scripts settle it as that of a switch."""
    assert step.undo
    event = {"event": "undrained", "deploy": number, "server": step.process}
    more = {
        "previous": "",
        "takeback": _sequence((step.undo,)),
        "finish": "",
        "live": prefix(event),
        "reverted": prefix({**event, "by": "the dead man's switch"}),
        "keep": True,  # until it has brought the server back
        "waiter": render(Step("waiter", {"root": step.values["root"]}, "")),
    }
    return replace(step, values={**step.values, **more})


def _sequence(each: tuple[Step, ...]) -> str:
    """One script that runs all of *each*, the later ones even when an earlier one fails."""
    lines = [f"sh -c {quoted(render(step))} || code=$?" for step in each]
    return "\n".join(["code=0", *lines, 'exit "$code"'])
