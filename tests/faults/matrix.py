"""step × fault × verb, whole or in short."""

import random
from collections import Counter
from dataclasses import dataclass

from tests.faults.faults import FAULTS, Fault
from tests.faults.verbs import VERBS, Verb

SEED = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One step of one verb meets one fault."""

    verb: Verb
    step: str
    fault: Fault

    def __str__(self) -> str:
        return f"{self.verb.name}-{self.step.replace(' ', '_')}-{self.fault.name}"


def whole() -> tuple[Row, ...]:
    """Every step of every verb meets every fault."""
    return tuple(Row(verb, step, fault) for verb in VERBS for step in verb.steps for fault in FAULTS)


def short(seed: int) -> tuple[Row, ...]:
    """Every step of every verb meets one fault, and the faults take turns, in an order that *seed* decides."""
    chance, met, rows = random.Random(seed), Counter[str](), list[Row]()
    for verb in VERBS:
        for step in verb.steps:
            fault = min(chance.sample(FAULTS, len(FAULTS)), key=lambda fault: met[fault.name])
            met[fault.name] += 1
            rows.append(Row(verb, step, fault))
    return tuple(rows)
