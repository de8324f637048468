"""One verb on one host that is about to meet a fault at one of its steps."""

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from tests.app import Result
from tests.faults.client import Client
from tests.faults.site import Site
from tests.faults.stage import Stage, alive
from tests.faults.verbs import Verb


@dataclass
class Scene:
    """*verb* at *step*; *seed* decides which of its calls is the one that is interrupted.

    *more* stands in deploy.toml. What is done by a person comes with the *last* fault that a site meets.
    """

    stage: Stage
    site: Site
    verb: Verb
    step: str
    seed: str = "0"
    more: str = ""
    last: bool = True
    number: int = field(init=False, default=0)
    client: Client = field(init=False)
    waits: int = field(init=False, default=0)  # the call that is blocked

    def start(self) -> Client:
        """Type the command on a controller that has never done so; it will be the deploy of this *number*."""
        self.number = max(self.verb.number, *(each.number + 1 for each in self.site.each))
        shutil.rmtree(self.site.home / ".cache", ignore_errors=True)
        for each in self.site.each:
            (each.root / "shared" / "schema").write_text("")
        self.stage.line.pass_()
        self.stage.over_the_line(self.site, self.verb, self.more)
        self.client = self.stage.client(self.site, *self.verb.words)
        return self.client

    def reach(self) -> int:
        """The command has come to the step, which waits; returns its pid."""
        self.start()
        return self.stage.reach(self.client, self.verb, self.step)

    def block(self) -> int:
        """The step is in its middle, and waits; returns the pid of the call."""
        call = self.call
        self.start()
        return self.stage.block(self.client, self.verb, self.step, call)

    @property
    def call(self) -> int:
        """Which call is the middle one: any but those of the first and the last quarter."""
        calls = self.stage.calls(self.verb).get(self.step, 1)
        quarter = calls // 4
        return random.Random(f"{self.seed} {self.verb.name} {self.step}").randint(1 + quarter, max(1, calls - quarter))

    @property
    def said(self) -> list[str]:
        """What the journal says of this deploy."""
        return self.said_on(self.site)

    def said_on(self, site: Site) -> list[str]:
        """What the journal of one of its hosts does."""
        return site.events(self.number) if self.verb.new else []

    def confirmed_on(self, site: Site) -> bool:
        """Was it confirmed on one of its hosts? The journal may not have been told yet."""
        return "live" in self.said_on(site) or str(self.number) in site.inside("confirmed")

    def end(self) -> Result:
        """The command ends by itself: its last word is an outcome that is true."""
        told = [partial(self.known_on, each) for each in self.site.each] if self.verb.new else []
        return truly_ended(self.client, *told)

    def known_on(self, site: Site) -> list[str]:
        """What its journal says; that it is live also where the rename says so, and a full disk took no line."""
        said = self.said_on(site)
        return [*said, "live"] if self.confirmed_on(site) and "live" not in said else said


def truly_ended(client: Client, *journals: Callable[[], list[str]]) -> Result:
    """Wait for the end of a command: its last word is an outcome, and true by what *journals* say of it."""
    result = client.end()
    last = client.events[-1] if client.events else {}
    assert last.get("event") == "outcome", (result, client.events[-4:])
    if result.code < 0:  # asked again when it had said how it ended, and Python was on its way out
        result = replace(result, code=last["exit"])
    assert last["exit"] == result.code, (result, last)
    if journals and result.code in (0, 11, 12):
        told = [said() for said in journals]
        lived, reverted = ([how in said for said in told] for how in ("live", "reverted"))
        assert set(lived) == {result.code == 0}, (result.code, told, client.events[-5:])
        assert any(reverted) == (result.code == 12), (result.code, told, client.events[-5:])
    return result


def parent(pid: int) -> int:
    """Of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def name(pid: int) -> str:
    """Of its program."""
    return Path(f"/proc/{pid}/comm").read_text().strip()


def session(site: Site, pid: int) -> int:
    """The shell of the session: the one that holds the lock, else the one below sshd that *pid* descends from.

    Who has just got the lock may not have said so yet.
    """
    if site.locked:
        holder = int(json.loads((site.root / ".switchover" / "lock.info").read_text())["pid"])
        if alive(holder):
            return holder
    while not name(parent(pid)).startswith("sshd"):
        pid = parent(pid)
    return pid
