"""What was measured, as tables in docs/benchmarks.md; a section that is measured again replaces its own part."""

import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).parent.parent / "docs" / "benchmarks.md"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure with its target: at most, or at least where *more* is better. *why* it was missed, if it was."""

    what: str
    target: float
    measured: float
    unit: str = ""
    more: bool = False
    about: str = ""

    @property
    def met(self) -> bool:
        """Whether it is as it must be."""
        return self.measured >= self.target if self.more else self.measured <= self.target

    @property
    def row(self) -> tuple[str, ...]:
        """As a row: what, target, measured, whether that is met, and what it was made of."""
        missed = abs(self.measured / self.target - 1) if self.target else 0.0
        sign = "≥" if self.more else "≤"
        said = "met" if self.met else f"**missed by {missed:.0%}**"
        return (self.what, f"{sign} {self.target:g}{self.unit}", f"{self.measured:.3g}{self.unit}", said, self.about)


HEAD = ("what", "target", "measured", "", "made of")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def targets(figures: Iterable[Figure]) -> str:
    """Figures with their targets, as a table."""
    return table(HEAD, (figure.row for figure in figures))


def median(times: Sequence[float]) -> float:
    """In the same unit."""
    return statistics.median(times)


def spread(times: Sequence[float]) -> str:
    """The median, and the least and the most: ``1.20 [1.15..1.31]``."""
    return f"{median(times):.2f} [{min(times):.2f}..{max(times):.2f}]"


def written(name: str, title: str, text: str, document: Path = DOCUMENT) -> None:
    """Put a section into the document in place of the one of the same *name*."""
    section = f"<!-- {name} -->\n## {title}\n\n{text.strip()}\n<!-- end of {name} -->\n"
    whole = document.read_text() if document.exists() else ""
    pattern = re.compile(f"<!-- {name} -->.*?<!-- end of {name} -->\n", re.S)
    found = pattern.sub(lambda _: section, whole) if pattern.search(whole) else f"{whole.rstrip()}\n\n{section}"
    document.write_text(found.lstrip())
