"""What the demo tells: deploys, good and bad, while clients never stop asking; each by the real command line."""

import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..figures import Figures
from ..outcome import EXITS
from ..probe import MIXED, Client, Load
from .host import Host

CLIENTS = (*MIXED, Client(path="/slow", slow=True, keeps=True), Client(path="/slow", slow=True))
LIMIT_S = 30.0


@dataclass(slots=True)
class Act:
    """One part of the story: what it promises, what came instead (empty: just that), and what clients met meanwhile."""

    title: str
    promise: str
    wrong: str = ""
    seconds: float = math.nan
    figures: Figures | None = None


@dataclass(slots=True)
class Story:
    """The host, the clients, and what was told so far."""

    host: Host
    console: Console
    load: Load
    began: float = math.inf
    acts: list[Act] = field(default_factory=list)

    def tell(self) -> None:
        """All of it, up to the first act that did not go as promised."""
        host = self.host
        self.deploy("A first deploy", "live")
        v1 = host.live
        self.ask()
        host.edit("wsgi.py", "(words) VALUES ('hello')", "(words, mood) VALUES ('hello', 'glad')")
        (host.project / "migrations" / "0002_mood.expand.sql").write_text("ALTER TABLE entry ADD COLUMN mood TEXT\n")
        self.deploy("A second one, with a migration", "live", "the code now writes a column that the migration adds")
        v2 = host.live
        host.edit("wsgi.py", "import json\n", "import json\nimport jsonn\n")
        self.deploy("A release that cannot be imported", "unchanged", "a typing mistake: import jsonn")
        host.edit("wsgi.py", "import jsonn\n", "")
        host.edit("wsgi.py", "'glad')", "'glad', 1)")
        host.edit("wsgi.py", "SELECT count(*) FROM entry", "SELECT count(*) FROM entries")
        self.deploy("A release that answers 500", "unchanged", "it boots, but asks for a table that is not there")
        host.edit("wsgi.py", "FROM entries", "FROM entry")
        host.edit("wsgi.py", "'glad', 1)", "'merry')")
        self.killed("A deployer that dies in the middle", v2)
        with self.act("A rollback", "live") as act:
            self.command(act, "rollback")
            self.expect(act, v1, "the first release is not live again")
        self.say("\n[bold cyan]What is on the host now[/]")
        self.run("releases")

    def deploy(self, title: str, outcome: str, change: str = "") -> None:
        """One deploy of what the project is now."""
        before = self.host.live
        with self.act(title, outcome, change) as act:
            self.command(act, "deploy")
            if outcome != "live":
                self.expect(act, before, "another release is live")

    def killed(self, title: str, before: str) -> None:
        """A deploy that is killed once its release is published: the host has to go back by itself."""
        with self.act(title, "taken back", "good code; the deployer is killed between the switch and its proof") as act:
            self.run("deploy", kill_when=lambda: self._met() - {before})
            self.say(f"[bold]kill -9[/]: clients get {self.host.live} already, but it was never proven", "  ")
            died = time.monotonic()
            while (self.host.live != before or self._met() != {before}) and time.monotonic() < died + LIMIT_S:
                time.sleep(0.05)
            self.expect(act, before, "the host did not go back")
            if not act.wrong:
                waited = time.monotonic() - died
                self.say(f"after {waited:.1f} s clients get {before} again: the host went back alone", "  ")

    @contextmanager
    def act(self, title: str, promise: str, change: str = "") -> Iterator[Act]:
        """Head one act; what clients met from its start to its end belongs to it."""
        act = Act(title, promise)
        self.acts.append(act)
        self.say(f"\n[bold cyan]{len(self.acts)}  {title}[/]" + (f"[dim]: {change}[/]" if change else ""))
        began = time.monotonic()
        yield act
        act.seconds = time.monotonic() - began
        if self.began < math.inf:
            time.sleep(0.5)  # what is on its way when the command ends is met by clients, too
            act.figures = self.load.between(began, time.monotonic())
            self.say(f"[dim]clients:[/] {act.figures}", "  ")
            if act.figures.wrong:
                act.wrong = act.wrong or f"{act.figures.wrong} requests failed: {'; '.join(act.figures.examples)}"
        if act.wrong:
            raise Unkept(act.wrong)

    def command(self, act: Act, verb: str) -> None:
        """Run ``switchover VERB``; it must end as promised."""
        code = self.run(verb)
        if code != (wanted := EXITS[act.promise]):
            act.wrong = f"switchover {verb} ended with exit code {code}, promised was {wanted}"

    def run(self, verb: str, *, kill_when: Callable[[], object] = lambda: False) -> int:
        """Run ``switchover VERB`` in the project, show what it says, and return its exit code."""
        self.say(f"[bold]$ switchover {verb}[/]", "  ")
        process = subprocess.Popen(
            [sys.executable, "-m", "releases", verb],
            cwd=self.host.project,
            env=dict(self.host.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            showing = threading.Thread(target=self._show, args=(process.stdout,), daemon=True)
            showing.start()
            while process.poll() is None and not kill_when():
                time.sleep(0.01)
        finally:
            process.kill()
        showing.join()
        return process.wait()

    def expect(self, act: Act, live: str, otherwise: str) -> None:
        """*live* must be what ``current`` names."""
        if self.host.live != live:
            act.wrong = act.wrong or f"{otherwise}: {self.host.live or 'nothing'}"

    def ask(self) -> None:
        """Let the clients in; they stay to the end."""
        self.load.start()
        self.began = time.monotonic()
        kinds = "GET and POST, kept and new connections, 1 s slow ones"
        self.say(f"\nFrom here on {len(CLIENTS)} clients ask {self.host.url} without a pause: {kinds}.")
        time.sleep(0.5)

    def say(self, text: str, indent: str = "") -> None:
        """One line, however long."""
        self.console.print(f"{indent}{text}", soft_wrap=True)

    def _show(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.say(escape(line.rstrip()), "  [dim]│[/] ")

    def _met(self) -> set[str]:
        """The releases that answered within the last moment."""
        now = time.monotonic()
        return set(self.load.between(now - 0.2, now).releases)


class Unkept(Exception):
    """A promise was not kept; the rest of the story would say nothing."""


def tell(out: IO[str], *, keep: bool) -> int:
    """Make the host, tell the story, sum it up; 0 when every promise was kept."""
    console = Console(file=out, highlight=False, width=None if out.isatty() else 120)
    story, wrong = None, ""
    host = Host()
    try:
        with host:
            story = Story(host, console, Load(host.url, CLIENTS))
            story.say(
                "[bold]switchover[/]: an SSH server of its own, a real gunicorn, SQLite; nothing leaves this machine."
            )
            try:
                story.tell()
            except Unkept as error:
                wrong = str(error)
            ended = time.monotonic()
            story.load.stop()
            _sum_up(story, ended, wrong)
        keep = keep or bool(wrong)
    finally:
        if not keep:
            host.forget()
    if keep:
        console.print(f"kept: {host.directory}\n  the host's root   {host.root}", soft_wrap=True)
        console.print(f"  its journal       {host.root / '.switchover' / 'journal.jsonl'}", soft_wrap=True)
        console.print(f"  the project       {host.project}", soft_wrap=True)
    return 1 if wrong else 0


def _sum_up(story: Story, ended: float, wrong: str) -> None:
    """One line for each act, and the sum of all."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("", "promised", "seconds", "requests", "failed", "longest gap", "p50", "p99"):
        table.add_column(column, justify="left" if column in ("", "promised") else "right")
    for act in story.acts:
        f = act.figures
        mark = "[red]not kept[/]" if act.wrong else f"[green]{PROMISES[act.promise]}[/]"
        met = (
            (f"{f.count}", f"{f.wrong}", f"{f.gap_s:.2f} s", f"{f.p50_ms:.0f} ms", f"{f.p99_ms:.0f} ms")
            if f
            else ("", "", "", "", "")
        )
        table.add_row(act.title, mark, f"{act.seconds:.1f}", *met)
    story.console.print()
    story.console.print(table)
    if story.began < math.inf:
        story.say(f"\n[bold]{story.load.between(story.began, ended)}[/]")
    story.say(f"[red]not as promised: {escape(wrong)}[/]" if wrong else "[green]Everything went as promised.[/]")


PROMISES = {
    "live": "exit 0: live, proven",
    "unchanged": "exit 11: not switched",
    "taken back": "went back by itself",
}
