"""nginx: the server's line in a file that it includes is marked ``down``, the whole tested, and nginx reloaded."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from .. import balancing
from ..answer import Answer
from ..errors import Refused
from ..plan import Judge, Step, Verdict
from .kind import alone, apart, at, guarded, place, session, unguarded

LIMIT_S = 120.0  # what test and reload may take


@dataclass(frozen=True, slots=True)
class Nginx:
    """One ``server`` line of an upstream of nginx."""

    host: str
    server: str
    root: PurePosixPath
    settings: balancing.Nginx

    @property
    def via(self) -> str:
        """The session with its host."""
        return session(self.settings, self.root)

    @property
    def pool(self) -> str:
        """Who stands in the same file of the same host."""
        return f"{self.via or self.host} {self.settings.include}"

    @property
    def counts(self) -> bool:
        """It sees which lines are not marked."""
        return True

    def check(self) -> Step:
        """Find the line, and test the configuration as it is."""
        return self._step("check", "look into the include of nginx, and test it", apart=bool(self.settings.host))

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

    def drain(self, number: int) -> tuple[Step, ...]:
        """Mark it, reload, and wait until the workers that may still use it are gone."""
        limit_s = self.settings.drain_s
        says = f"nginx on {place(self.settings)}: {self.server} is down in {self.settings.include}, tested, reloaded"
        out = self._step("set", says, "drain", alone, down=True)
        wait = self._step("look", f"until the old workers are gone, {limit_s:g} s at most", "drained", drained, limit_s)
        return guarded((out, wait), self._up(), number, self.server)

    def undrain(self, number: int) -> tuple[Step, ...]:
        """Take the mark away, and reload."""
        return unguarded((self._up(),), number, self.server)

    def _up(self) -> Step:
        says = f"nginx on {place(self.settings)}: {self.server} is back, tested, reloaded"
        return self._step("set", says, "undrain", down=False)

    def _step(
        self,
        template: str,
        says: str,
        name: str = "",
        judge: Judge | None = None,
        patience_s: float = 0.0,
        **more: object,
    ) -> Step:
        values = {
            "root": at(self.settings, self.root),
            "include": self.settings.include,
            "server": self.server,
            "test": self.settings.test,
            "reload": self.settings.reload,
            **more,
        }
        return Step(
            name or template,
            values,
            says,
            template=f"balancers/nginx/{template}",
            judge=judge,
            timeout_s=LIMIT_S,
            patience_s=patience_s,
            process=self.server,
            via=self.via,
            lenient=name == "drained",
        )


def drained(answer: Answer) -> Verdict:
    """nginx has new workers, and none of the old ones is left."""
    if not answer.number("reloaded"):
        return Verdict("nginx has no new workers yet")
    left = answer.number("left")
    return Verdict(f"{left} old worker{'s' if left > 1 else ''} of nginx still at work" if left else "")
