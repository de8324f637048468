"""file: while a file lies below shared/ the host answers 503 to whoever balances, and so leaves its rotation."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from .. import balancing
from ..answer import Answer
from ..errors import Refused
from ..plan import Step
from .kind import guarded, marked, unguarded


@dataclass(frozen=True, slots=True)
class HealthFile:
    """One file on the host itself; that somebody answers 503 while it is there is up to the app or its web server."""

    host: str
    root: PurePosixPath
    settings: balancing.HealthFile

    @property
    def via(self) -> str:
        """The host of the deploy."""
        return ""

    @property
    def pool(self) -> str:
        """Whoever has such a file."""
        return f"file {self.settings.path}"

    @property
    def counts(self) -> bool:
        """It knows nothing of others."""
        return False

    def check(self) -> Step:
        """The file can be made there."""
        return self._step("check", "look for the health file", {})

    def problem(self, answer: Answer) -> Refused | None:
        """Something else is in its place, or it cannot be written there."""
        why = answer.one("problem")
        hint = "balancer.path is a file below shared/ that only a deploy makes"
        return Refused(f"{self.host}: shared/{self.settings.path} {why}", hint=hint) if why else None

    def kept_out(self, answer: Answer) -> str:
        """A file that was there already is one that was left."""
        return ""

    def left_out(self, answer: Answer) -> bool:
        """The file is there."""
        return answer.one("state") == "down"

    def ask(self) -> Step:
        """Look for the file."""
        return self._step("state", "look whether the health file is there", {})

    def state(self, answer: Answer) -> str:
        """The file is there, or not; what the balancer makes of it only it knows."""
        return marked(answer)

    def drain(self, number: int) -> tuple[Step, ...]:
        """Make it, and give the balancer and requests in flight their time."""
        limit_s, path = self.settings.drain_s, self.settings.path
        out = self._set(f"make shared/{path}: the host says 503 to its balancer", "drain", there=True)
        wait = self._wait("drained", f"{limit_s:g} s for the balancer to see it, and for what is in flight", limit_s)
        return guarded((out, wait), self._back(), number, path)

    def undrain(self, number: int) -> tuple[Step, ...]:
        """Remove it, and wait until the balancer has seen that, too."""
        limit_s = self.settings.wait_s
        wait = self._wait("serving", f"{limit_s:g} s for the balancer to see it", limit_s)
        return unguarded((self._back(), wait), number, self.settings.path)

    def _back(self) -> Step:
        return self._set(f"remove shared/{self.settings.path}", "undrain", there=False)

    def _set(self, says: str, name: str, *, there: bool) -> Step:
        return self._step("set", says, {"there": there}, name)

    def _wait(self, name: str, says: str, wait_s: float) -> Step:
        return self._step("wait", says, {"wait_s": f"{wait_s:g}"}, name, wait_s)

    def _step(self, template: str, says: str, more: dict[str, object], name: str = "", wait_s: float = 0.0) -> Step:
        values = {"root": self.root, "path": self.settings.path, **more}
        return Step(name or template, values, says, template=f"balancers/file/{template}", timeout_s=60 + wait_s)
