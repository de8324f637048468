"""How a command ended: its name, exit code, and what became of each host."""

from collections.abc import Mapping
from dataclasses import dataclass, field

MANY = 10  # hosts; of more, those that are as most of them are share a line

EXITS: Mapping[str, int] = {
    "live": 0,
    "already_live": 0,
    "done": 0,
    "refused": 10,
    "unchanged": 11,
    "reverted": 12,
    "partial": 13,
    "unknown": 14,
    "locked": 75,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """*name* is a key of `EXITS`; *hosts* says in a word or two what is true on each host; *why* is one line.

    *looked*: that was all there was to do, and people have its answer already.
    """

    name: str
    release: str = ""
    why: str = ""
    hint: str = ""
    seconds: float = 0.0
    hosts: Mapping[str, str] = field(default_factory=dict)
    looked: bool = False

    @property
    def exit_code(self) -> int:
        """What the command exits with."""
        return EXITS[self.name]

    @property
    def table(self) -> tuple[str, ...]:
        """A line for each host; of many hosts, what is true of most is said once, ahead of the others.

        >>> Outcome("partial", hosts={"web1": "live: B", "web12": "live: A"}).table
        ('web1   live: B', 'web12  live: A')
        """
        words = list(self.hosts.values())
        usual = max(words, key=words.count) if len(words) > MANY else None
        lines = [(f"{count} hosts", usual)] if usual is not None and (count := words.count(usual)) > 1 else []
        lines += [(host, word) for host, word in self.hosts.items() if not lines or word != usual]
        width = max((len(host) for host, _ in lines), default=0)
        return tuple(f"{host:<{width}}  {word}" for host, word in lines)
