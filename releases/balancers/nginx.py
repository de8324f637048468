"""nginx: the server's line in a file that it includes is marked ``down``, the whole tested, and nginx reloaded."""

from typing import ClassVar

from .. import balancing
from ..answer import Answer
from ..errors import Refused
from ..plan import Step, Verdict
from .kind import Told, alone, apart, guarded, marked, place, unguarded


class Nginx(Told[balancing.Nginx]):
    """One ``server`` line of an upstream of nginx."""

    __slots__ = ()

    limit_s: ClassVar[float] = 120.0  # what test and reload may take

    @property
    def pool(self) -> str:
        """Who stands in the same file of the same host."""
        return f"{self.via or self.host} {self.settings.include}"

    def check(self) -> Step:
        """Find the line, and test the configuration as it is."""
        return self.step("check", "look into the include of nginx, and test it", apart=bool(self.settings.host))

    def problem(self, answer: Answer) -> Refused | None:
        """There is no such file or line, it may not be written, or the test fails already."""
        include, who = self.settings.include, self.via or self.host
        if problem := apart(who, answer):
            return problem
        if why := answer.one("include"):
            return Refused(f"{who}: {include} {why}", hint=f"it needs a line `server {self.server};` for each host")
        servers = [line.split(" ", 1)[0] for line in answer.all("server")]
        if self.server not in servers:
            found = ", ".join(servers) or "none"
            return Refused(f"{who}: {include} has no server {self.server}", hint=f"balancer.server: it has {found}")
        if why := answer.one("test"):
            return Refused(f"{who}: `{self.settings.test}` fails before anything was changed: {why}")
        return None

    def kept_out(self, answer: Answer) -> str:
        """Who is marked down is brought back: only a deploy writes this file."""
        return ""

    def left_out(self, answer: Answer) -> bool:
        """It is marked down."""
        return f"{self.server} down" in answer.all("server")

    def ask(self) -> Step:
        """Read its line; nothing is tested."""
        return self.step("state", "look into the include of nginx")

    def state(self, answer: Answer) -> str:
        """Its line is marked down, or not."""
        return marked(answer)

    def drain(self, number: int) -> tuple[Step, ...]:
        """Mark it, reload, and wait until the workers that may still use it are gone."""
        limit_s = self.settings.drain_s
        says = f"nginx on {place(self.settings)}: {self.server} is down in {self.settings.include}, tested, reloaded"
        out = self.step("set", says, "drain", alone, down=True)
        wait = self.step("look", f"until the old workers are gone, {limit_s:g} s at most", "drained", drained, limit_s)
        return guarded((out, wait), self._up(), number, self.server)

    def undrain(self, number: int) -> tuple[Step, ...]:
        """Take the mark away, and reload."""
        return unguarded((self._up(),), number, self.server)

    def _up(self) -> Step:
        says = f"nginx on {place(self.settings)}: {self.server} is back, tested, reloaded"
        return self.step("set", says, "undrain", down=False)


def drained(answer: Answer) -> Verdict:
    """nginx has new workers, and none of the old ones is left."""
    if not answer.number("reloaded"):
        return Verdict("nginx has no new workers yet")
    left = answer.number("left")
    return Verdict(f"{left} old worker{'s' if left > 1 else ''} of nginx still at work" if left else "")
