"""haproxy: over its runtime socket a server is drained, made ready, and asked how it is."""

from .. import balancing
from ..answer import Answer
from ..errors import Refused
from ..plan import Step, Verdict
from .kind import IN, OUT, UNKNOWN, Told, alone, apart, guarded, place, unguarded

ROLES = "it needs `stats socket {socket} level admin`, writable for the deploy account, in its configuration"


class HAProxy(Told[balancing.HAProxy]):
    """One server of one backend of a HAProxy."""

    __slots__ = ()

    @property
    def pool(self) -> str:
        """Who has the same backend of the same balancer."""
        return f"{self.via or self.host} {self.settings.socket} {self.settings.backend}"

    def check(self) -> Step:
        """Reach its socket, and list the servers of the backend."""
        return self.step("check", "ask the balancer", apart=bool(self.settings.host))

    def problem(self, answer: Answer) -> Refused | None:
        """It is down, refuses us, or knows neither the backend nor the server."""
        backend, socket, who = self.settings.backend, self.settings.socket, self.via or self.host
        if problem := apart(who, answer):
            return problem
        if why := answer.one("unreachable"):
            hint = (
                ROLES.format(socket=socket) if "ermission" in why else "is haproxy up there? balancer.socket names it"
            )
            return Refused(f"{who}: haproxy cannot be reached: {why}", hint=hint)
        if answer.one("level") not in ("admin", ""):
            return Refused(f"{who}: {socket} lets us be {answer.one('level')} only", hint=ROLES.format(socket=socket))
        servers = {line.split(" ", 1)[0] for line in answer.all("server")}
        if not servers:
            others = ", ".join(answer.all("backend")) or "none"
            return Refused(f"{who}: haproxy has no backend {backend}", hint=f"balancer.backend: it has {others}")
        if self.server not in servers:
            return Refused(
                f"{who}: backend {backend} of haproxy has no server {self.server}",
                hint=f"balancer.server: it has {', '.join(sorted(servers))}",
            )
        return None

    def kept_out(self, answer: Answer) -> str:
        """Who is in maintenance was put there by somebody."""
        where = f"{self.server} is in maintenance at haproxy"
        return f"{where}, and stays so" if self._status(answer).startswith("MAINT") else ""

    def left_out(self, answer: Answer) -> bool:
        """It is drained."""
        return self._status(answer).startswith("DRAIN")

    def _status(self, answer: Answer) -> str:
        return dict(line.split(" ", 1) for line in answer.all("server")).get(self.server, "")

    def ask(self) -> Step:
        """How it sees the server."""
        return self.step("look", "ask the balancer")

    def state(self, answer: Answer) -> str:
        """Its status in our words."""
        status = answer.one("status")
        words = {"UP": IN, "no": IN, "DRAIN": OUT, "MAINT": "in maintenance", "": UNKNOWN}
        return words.get(status.split(" ", 1)[0], "down")

    def drain(self, number: int) -> tuple[Step, ...]:
        """No new connections, then wait for the end of those it has."""
        limit_s = self.settings.drain_s
        named = f"{self.settings.backend}/{self.server}"
        out = self.step(
            "set", f"haproxy on {place(self.settings)}: {named} gets no new work", "drain", alone, state="drain"
        )
        wait = self.step("look", f"until it has none left, {limit_s:g} s at most", "drained", drained, limit_s)
        return guarded((out, wait), self._ready(), number, self.server)

    def undrain(self, number: int) -> tuple[Step, ...]:
        """Ready again, then wait until its health check says so, too."""
        limit_s = self.settings.wait_s
        wait = self.step("look", f"until haproxy sees it up, within {limit_s:g} s", "serving", self._is_up, limit_s)
        return unguarded((self._ready(), wait), number, self.server)

    def _ready(self) -> Step:
        named = f"{self.settings.backend}/{self.server}"
        return self.step("set", f"haproxy on {place(self.settings)}: {named} is ready", "undrain", state="ready")

    def _is_up(self, answer: Answer) -> Verdict:
        status = answer.one("status")
        if status.startswith("UP") or status == "no check":
            return Verdict()
        return Verdict(f"haproxy does not see {self.server} up: it says {status or 'nothing'}")


def drained(answer: Answer) -> Verdict:
    """Nothing is in flight."""
    count = answer.number("connections")
    return Verdict(f"{count} connection{'s' if count > 1 else ''} left" if count else "")
