"""Hosts that are switched off: at which steps of which commands, from the plans for an instance of systemd."""

import random
import tomllib
from dataclasses import dataclass

from releases import deploy, rollback
from tests.faults.verbs import Verb
from tests.hosts import ANA, A, B, C, D, config, host, live, manifest

LISTEN = "127.0.0.1:8300"
# A host that is gone is given up early, and called again for longer than it takes to boot.
TABLES = f"""
[processes.web]
kind = "systemd"
command = "/usr/bin/python3 serve.py"
listen = "{LISTEN}"
health = {{ url = "/health", wait_s = 60 }}
[keep]
releases = 3
[connection]
connect_s = 2
silent_s = 3
lock_s = 32
"""
EACH = 2


@dataclass(frozen=True, slots=True)
class Loss:
    """The host of *verb* loses its power at one *step*."""

    verb: Verb
    step: str

    def __str__(self) -> str:
        return f"{self.verb.name}-{self.step.replace(' ', '_')}-off"


_LINES, _SETTINGS = (live(1, A), live(2, B, A), live(3, C, B)), config(**tomllib.loads(TABLES))
_FOUND = host(C, complete=[A, B, C], journal=_LINES, settings=_SETTINGS)
_SHIPPED = deploy.Shipment(D, manifest("version"), bases={"web1": manifest("last")})

LOSERS = (
    Verb("deploy", ("deploy", "--host", "prod"), (), deploy.deploy((_FOUND,), _SHIPPED, ANA), new="v4", more=TABLES),
    Verb("rollback", ("rollback", "--host", "prod"), (), rollback.rollback((_FOUND,), ANA), new="v2", more=TABLES),
)


def every_loss() -> tuple[Loss, ...]:
    """At each step of each of them."""
    return tuple(Loss(verb, step) for verb in LOSERS for step in verb.planned)


def some_losses(seed: int) -> tuple[Loss, ...]:
    """A few of each of them, which *seed* decides."""
    chance = random.Random(seed)
    return tuple(Loss(verb, step) for verb in LOSERS for step in chance.sample(verb.planned, EACH))
