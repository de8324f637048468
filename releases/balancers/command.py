"""command: what takes a host out and brings it back runs on the controller, like the API of a cloud's balancer."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from .. import balancing
from ..answer import Answer
from ..errors import Refused
from ..history import prefix
from ..plan import HERE, Step


@dataclass(frozen=True, slots=True)
class Command:
    """Two commands; the host keeps a mark meanwhile, by which the next command knows that it was left out."""

    host: str
    hostname: str
    server: str
    root: PurePosixPath
    settings: balancing.BalancerCommand

    @property
    def via(self) -> str:
        """No host of a balancer."""
        return ""

    @property
    def pool(self) -> str:
        """Whoever is drained by the same command."""
        return f"command {self.settings.drain}"

    @property
    def counts(self) -> bool:
        """Only its API may know."""
        return False

    def check(self) -> Step | None:
        """Nothing can be asked."""
        return None

    def problem(self, answer: Answer) -> Refused | None:
        """None that we know of."""
        return None

    def kept_out(self, answer: Answer) -> str:
        """Not known."""
        return ""

    def left_out(self, answer: Answer) -> bool:
        """Not known; whoever has left a mark is brought back before anything else."""
        return False

    def ask(self) -> Step | None:
        """There is no command for it; the survey has read the mark."""
        return None

    def state(self, answer: Answer) -> str:
        """Not known."""
        return ""

    def drain(self, number: int) -> tuple[Step, ...]:
        """A mark on the host, then the command."""
        out = self._run("drain", self.settings.drain)
        mark = self._mark("guard", f"write down that {self.server} is out of rotation", "drained", number)
        return (mark, out)

    def undrain(self, number: int) -> tuple[Step, ...]:
        """The command, then the mark goes."""
        back = self._run("undrain", self.settings.undrain)
        return (back, self._mark("unguard", f"and that {self.server} is back", "undrained", number))

    def _run(self, name: str, run: str) -> Step:
        values = {"command": run, "environment": {"HOST": self.hostname, "SERVER": self.server}}
        limit_s = self.settings.timeout_s
        return Step(name, values, f"here: run `{run}`", timeout_s=limit_s, via=HERE, process=self.server)

    def _mark(self, name: str, says: str, event: str, number: int) -> Step:
        written = prefix({"event": event, "deploy": number, "server": self.server})
        values = {"root": self.root, "marked": written, "deploy": number if name == "guard" else ""}
        return Step(name, values, says, template="balancers/command/mark", process=self.server)
