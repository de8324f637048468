"""How a command ended: its name, exit code, and what became of each host."""

from collections.abc import Mapping
from dataclasses import dataclass, field

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
    """*name* is a key of `EXITS`; *hosts* says in a word or two what is true on each host; *why* is one line."""

    name: str
    release: str = ""
    why: str = ""
    hint: str = ""
    seconds: float = 0.0
    hosts: Mapping[str, str] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """What the command exits with."""
        return EXITS[self.name]
