"""What does not run, or is not there, though nobody is at work on it: for `status` and `doctor`."""

from collections.abc import Iterator
from dataclasses import dataclass

from .surveyed import Surveyed

STARTS = "`inv deploy` (with `--force` where nothing has changed) or `inv rollback` starts it"


@dataclass(frozen=True, slots=True)
class Ailment:
    """What is not as it should be, and what helps; no *hint*: a deploy would be refused, and gives a better one."""

    why: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.why}: {self.hint}" if self.hint else self.why


def ailments(host: Surveyed) -> Iterator[Ailment]:
    """The release that is gone, and each process that does not run what is live.

    None while a deploy is at work. What a survey does not ask, as of the kind ``command``, is taken for well.
    """
    facts = host.facts
    if facts.locked or host.root_problem() or host.app_problem():
        return
    if facts.live_kind == "missing" and (proven := facts.history.proven):
        yield Ailment(f"current is missing, though {proven[-1]} was proven", "`inv deploy` makes one live again")
    if not facts.live:
        return
    if facts.live_kind == "broken":
        yield Ailment(f"{facts.live_text} is missing on disk", "`inv deploy` or `inv rollback` replaces it")
        return
    for kind in host.kinds:
        if facts.answer.below(kind.name).pairs and not (verdict := kind.proof(facts.live, facts)):
            yield Ailment(verdict.why, "" if any(kind.conditions(facts)) else STARTS)
