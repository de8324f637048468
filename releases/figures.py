"""What clients of a site met, in figures.

>>> figures([Answered(1.0, 0.02, "a"), Answered(1.5, 0.03, "b"), Answered(1.6, 0.1, wrong="refused")], 0.9, 2.0)
Figures(count=3, wrong=1, examples=('refused',), retried=0, gap_s=0.51, p50_ms=20.0, p99_ms=30.0, releases=('a', 'b'))
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Answered:
    """One request, sent at *at* (monotonic seconds): the release that answered it, or what was wrong.

    *slow* was asked to be so: it counts, but says nothing of how fast or how steadily the others are answered.
    *retried*: it was sent twice, as `Client` says; the time it took is that of both.
    """

    at: float
    took_s: float
    release: str = ""
    wrong: str = ""
    slow: bool = False
    retried: bool = False

    @property
    def ended(self) -> float:
        """When its answer was whole."""
        return self.at + self.took_s


@dataclass(frozen=True, slots=True)
class Figures:
    """What clients met in a span of time. *gap_s* is the longest time in which nobody got a good answer.

    *wrong* were refused, reset, cut short, timed out or answered 5xx; *retried* were sent a second time, whatever
    came of that; *releases* in the order in which they were seen.
    """

    count: int
    wrong: int
    examples: tuple[str, ...]
    retried: int
    gap_s: float
    p50_ms: float
    p99_ms: float
    releases: tuple[str, ...]

    def __str__(self) -> str:
        failed = f"{self.wrong} failed" + (f" ({'; '.join(self.examples)})" if self.examples else "")
        whose = "its" if self.retried == 1 else "their"
        failed += f", {self.retried} sent again after {whose} kept connection was closed" if self.retried else ""
        took = "" if math.isnan(self.p50_ms) else f", p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms"
        return f"{self.count} requests, {failed}, longest gap {self.gap_s:.2f} s{took}"


def figures(answers: Iterable[Answered], began: float, ended: float) -> Figures:
    """Sum up what ended between *began* and *ended*."""
    found = sorted((a for a in answers if began <= a.ended < ended), key=lambda a: a.ended)
    wrong = [a.wrong for a in found if a.wrong]
    good = [a for a in found if not a.wrong and not a.slow]
    moments = [began, *(a.ended for a in good), ended]
    gap = max(after - before for before, after in pairwise(moments))
    took = sorted(a.took_s * 1000 for a in good)
    return Figures(
        count=len(found),
        wrong=len(wrong),
        examples=tuple(dict.fromkeys(wrong))[:EXAMPLES],
        retried=sum(a.retried for a in found),
        gap_s=round(gap, 3),
        p50_ms=round(_percentile(took, 0.50), 1),
        p99_ms=round(_percentile(took, 0.99), 1),
        releases=tuple(dict.fromkeys(a.release for a in found if a.release)),
    )


def _percentile(ordered: list[float], part: float) -> float:
    return ordered[max(0, math.ceil(len(ordered) * part) - 1)] if ordered else math.nan
