"""What a remote script answered: ``key=value`` lines, in order, keys may repeat."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """The pairs that a script printed on stdout; anything else it printed there is left out.

    >>> answer = Answer.parse("live=releases/x\\nnoise\\npin=a\\npin=b=c\\n")
    >>> answer.one("live"), answer.all("pin"), answer.one("absent")
    ('releases/x', ('a', 'b=c'), '')
    """

    pairs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Answer":
        """Read the lines of *text* that are pairs."""
        pairs = (line.partition("=") for line in text.split("\n"))
        return cls(tuple((key, value) for key, equals, value in pairs if equals))

    def one(self, key: str, default: str = "") -> str:
        """The last value of *key*."""
        return next((value for name, value in reversed(self.pairs) if name == key), default)

    def number(self, key: str) -> int:
        """The last value of *key* as an integer; 0 when it is absent or is none."""
        text = self.one(key)
        return int(text) if text.lstrip("-").isdigit() else 0

    def all(self, key: str) -> tuple[str, ...]:
        """Every value of *key*, in order."""
        return tuple(value for name, value in self.pairs if name == key)

    def below(self, prefix: str) -> "Answer":
        """What was said under ``prefix.``: ``web.pid`` becomes ``pid``."""
        cut = len(prefix) + 1
        return Answer(tuple((key[cut:], v) for key, v in self.pairs if key.startswith(f"{prefix}.")))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.pairs)
