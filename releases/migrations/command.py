"""command: migrations by commands of yours; `pending` prints ``expand NAME`` or ``contract NAME`` lines, in order."""

import re
from dataclasses import dataclass
from functools import partial

from ..answer import Answer
from ..config import Migrations
from ..history import prefix
from ..plan import Phase, Step, Verdict
from ..processes.kind import Switch

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+-]*")


@dataclass(frozen=True, slots=True)
class Pending:
    """One migration that has not run: its *phase* is ``expand`` or ``contract``."""

    phase: str
    name: str

    def __str__(self) -> str:
        return f"{self.phase} {self.name}"


def steps(migrations: Migrations, switch: Switch, *, initial: bool) -> tuple[Step, ...]:
    """Ask what is pending in the new release, then run what the old code survives.

    *initial*: no code is live that could be broken, so contract migrations run, too.
    """
    asks = "which migrations are pending? (the staged release answers; printed before any runs)"
    both = initial and migrations.contract
    runs = f"run `{migrations.expand}`" + (f" and `{migrations.contract}`, nothing being live" if both else "")
    values = _values(migrations, switch) | {"initial": initial}
    return (
        Step(
            "pending",
            values,
            asks,
            Phase.EXPAND,
            template="migrations/pending",
            judge=partial(judge, initial=initial),
            timeout_s=migrations.timeout_s,
        ),
        Step("expand", values, runs, Phase.EXPAND, template="migrations/expand", timeout_s=migrations.timeout_s),
    )


def contract(migrations: Migrations, switch: Switch) -> tuple[Step, ...]:
    """Run the contract migrations of the release that is live."""
    values = _values(migrations, switch) | {"phase": "contract", "run": migrations.contract}
    says = f"run `{migrations.contract}`"
    return (
        Step(
            "contract",
            values,
            says,
            Phase.EXPAND,
            template="migrations/contract",
            timeout_s=migrations.timeout_s,
        ),
    )


def pending(answer: Answer) -> tuple[Pending, ...]:
    """What is pending, in order; raises ValueError naming the line that is no migration."""
    found = []
    for line in answer.all("pending"):
        phase, _, name = line.strip().partition(" ")
        if phase not in ("expand", "contract") or not NAME.fullmatch(name):
            raise ValueError(line)
        found.append(Pending(phase, name))
    return tuple(found)


def judge(answer: Answer, *, initial: bool) -> Verdict:
    """A contract migration ahead of an expand one would have to run first, and the old code might not survive it.

    >>> judge(Answer((("pending", "contract drop"), ("pending", "expand add"))), initial=False).why
    'expand add stands behind contract drop, which the live release may not survive'
    """
    try:
        found = pending(answer)
    except ValueError as error:
        return Verdict(f'`pending` printed {str(error)[:80]!r}, not "expand NAME" or "contract NAME"', final=True)
    contracts = [m for m in found if m.phase == "contract"]
    expands = [m for m in found if m.phase == "expand"]
    if contracts and not initial:
        behind = [m for m in expands if found.index(m) > found.index(contracts[0])]
        if behind:
            why = f"{behind[0]} stands behind {contracts[0]}, which the live release may not survive"
            return Verdict(why, final=True)
    if not expands and not (initial and contracts):
        left = f"; for later: {', '.join(map(str, contracts))}" if contracts else ""
        return Verdict(note=f"no expand migration is pending{left}", skips=frozenset({"expand", "probe"}))
    return Verdict(note=f"pending: {', '.join(map(str, found))}")


def _values(migrations: Migrations, switch: Switch) -> dict[str, object]:
    event = {"deploy": switch.number, "release": switch.release.name}
    return {
        "root": switch.root,
        "release": switch.release,
        "pending": migrations.pending,
        "expand": migrations.expand,
        "contract": migrations.contract,
        "listed": prefix({"event": "pending", **event}),
        "migrating": prefix({"event": "migrating", **event}),
        "migrated": prefix({"event": "migrated", **event}),
    }
