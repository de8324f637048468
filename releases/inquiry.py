"""Asks one step again and again, until its judge is content."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from .answer import Answer
from .plan import Step, Verdict

AGAIN_S = 0.2


@dataclass(frozen=True, slots=True)
class Inquiry:
    """One *step*, asked by *ask*; *stopped* waits so many seconds, and says whether nobody is to be asked any more."""

    step: Step
    ask: Callable[[Step], Answer]
    stopped: Callable[[float], bool]

    def verdict(self) -> Verdict:
        """The last one: that of a content judge, else a final one where its `patience_s` is over, too.

        One that is neither was stopped before that. Raises what *ask* raises.
        """
        end = time.monotonic() + self.step.patience_s
        while True:
            answer = self.ask(self.step)
            verdict = self.step.judge(answer) if self.step.judge else Verdict()
            if verdict or verdict.final:
                return verdict
            if time.monotonic() >= end:
                return replace(verdict, final=True)
            if self.stopped(AGAIN_S):
                return verdict
