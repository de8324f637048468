"""A deploy of release B over A, armed as a deploy arms it."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from releases import steps
from releases.arming import armed
from releases.plan import Phase, Plan, Step
from releases.processes.kind import Switch
from tests.app import until
from tests.scripts.running import A, B, Here, Ran, Talk

UNDONE = "echo undone >>undone"


def arm(here: Here, *, finish: str = "touch finished", undo: str = UNDONE, number: int = 7) -> Step:
    """The arm of a deploy of B, with a step of the team's own that is taken back by *undo*."""
    switch = Switch(here.layout.root, number, B, A)
    hook = steps.filled(steps.command("true", undo=f'cd "{here.base}"; {undo}'), switch)
    after = here.step("commands", what="retire", directory="", commands=[f'cd "{here.base}"; {finish}'], new="", old="")
    step = steps.arm(switch)
    plan = Plan("deploy", number, B, A, {"web1": (
        step, hook, steps.publish(here.layout, B, A), replace(after, phase=Phase.AFTER, process="web")
    )})  # fmt: skip
    return armed(plan, "web1", step, switch)


def events(here: Here, *names: str) -> list[Mapping[str, Any]]:
    """What the journal has of these, in order."""
    every = [json.loads(line) for line in here.journal.splitlines()]
    return [event for event in every if event["event"] in (names or ("live", "reverted"))]


def waiter(here: Here, number: int = 7) -> int:
    """The process that waits with an arm, once it waits for the lock."""
    pid = int((here.private / "armed" / str(number) / "pid").read_text())
    until(lambda: os.path.exists(f"/proc/{pid}/fd/9"), what="the waiting process at the lock")
    return pid


def switched(here: Here, deployer: Talk, **more: Any) -> None:
    """Arm, and make B live."""
    for step in (arm(here, **more), steps.publish(here.layout, B, A)):
        ok(deployer.run(step))
    assert here.live == f"releases/{B}"


def ok(ran: Ran) -> Ran:
    """It must have ended well."""
    assert ran.code == 0, ran.err
    return ran
