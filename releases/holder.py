"""Who holds the lock of a root."""

import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock, as the host tells it."""

    who: str = "another deploy"
    place: str = ""
    since: str = ""
    ci: str = ""
    pid: int = 0
    step: str = ""

    @classmethod
    def parse(cls, info: str, last: str = "") -> "Holder":
        """Read lock.info, and from the *last* line of the journal the step it is at."""
        told, event = _object(info), _object(last)
        step = str(event.get("step", "")) if event.get("state") == "begin" else ""
        words = {key: str(told.get(key, "")) for key in ("who", "place", "since", "ci")}
        return cls(**{k: v for k, v in words.items() if v}, pid=int(str(told.get("pid") or 0)), step=step)

    def __str__(self) -> str:
        parts = (
            self.who,
            f"on {self.place}" if self.place else "",
            f"since {self.since}" if self.since else "",
            f"at step {self.step}" if self.step else "",
            self.ci,
        )
        return " ".join(filter(None, parts))


def _object(text: str) -> Mapping[str, object]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
