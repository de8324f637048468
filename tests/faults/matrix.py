"""step × fault × verb, whole or in short."""

import random
from collections import Counter
from dataclasses import dataclass

from tests.faults.faults import FAULTS, Fault, met_by
from tests.faults.verbs import VERBS, Verb

SEED = 1
TOGETHER = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One step of one verb meets one fault."""

    verb: Verb
    step: str
    fault: Fault

    def __str__(self) -> str:
        return f"{self.verb.name}-{self.step.replace(' ', '_')}-{self.fault.name}"


@dataclass(frozen=True, slots=True)
class Case:
    """*rows* of one verb, met one after the other by the same site as long as the old release stays live."""

    rows: tuple[Row, ...]

    def __str__(self) -> str:
        return "+".join(map(str, self.rows))


def whole() -> tuple[Case, ...]:
    """Every step of every verb meets every fault, each on a site of its own."""
    return tuple(Case((Row(verb, step, fault),)) for verb in VERBS for step in verb.met for fault in met_by(verb))


def short(seed: int) -> tuple[Case, ...]:
    """Every step of every verb meets one fault, and the faults take turns, in an order that *seed* decides.

    With several hosts it is the steps that take turns: each fault is met at one.
    """
    chance, met, cases = random.Random(seed), Counter[str](), list[Case]()
    for verb in VERBS:
        if verb.beside:
            rows = _dealt(verb, chance)
        else:
            rows = []
            for step in verb.met:
                fault = min(chance.sample(FAULTS, len(FAULTS)), key=lambda fault: met[fault.name])
                met[fault.name] += 1
                rows.append(Row(verb, step, fault))
        count = -(-len(rows) // TOGETHER)
        cases += [Case(tuple(rows[i::count])) for i in range(count)]  # what comes late, and may go live, is met last
    return tuple(cases)


def _dealt(verb: Verb, chance: random.Random) -> list[Row]:
    """One of its steps for each fault that it meets, in the order of the steps."""
    faults = met_by(verb)
    steps = chance.sample(verb.met, min(len(faults), len(verb.met)))
    rows = [Row(verb, step, fault) for step, fault in zip(steps, chance.sample(faults, len(steps)), strict=True)]
    return sorted(rows, key=lambda row: verb.met.index(row.step))
