"""gunicorn: a master that runs already is reloaded in place with HUP; docs/zero-downtime.md says what that can do."""

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import PurePosixPath

from .. import config
from ..answer import Answer
from ..facts import Facts, Running
from ..layout import Release
from ..plan import Step, Verdict
from .kind import Switch, rehearsal

# Options with a value that a rehearsal must not take over from the running master: where it listens, what it writes.
OURS = (
    "-b",
    "--bind",
    "-p",
    "--pid",
    "-w",
    "--workers",
    "--chdir",
    "--log-file",
    "--error-logfile",
    "--access-logfile",
    "--control-socket",
)
WRITTEN = ("-p", "--pid", "--log-file", "--error-logfile", "--access-logfile")
FLAGS = ("-D", "--daemon", "--reload")
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
LEADING = re.compile(r"(exec|env)$|[A-Za-z_]\w*=").match


@dataclass(frozen=True, slots=True)
class Gunicorn:
    """One gunicorn, found by its unit or by its pidfile."""

    name: str
    root: PurePosixPath
    settings: config.Gunicorn

    def files(self) -> Mapping[str, bytes]:
        """Nothing: the master is started from outside the release."""
        return {}

    def values(self, switch: Switch | None = None) -> Mapping[str, object]:
        """Where the master is found, and where and how it is asked."""
        s = self.settings
        pidfile = str(self.root / s.pidfile) if s.pidfile else ""
        return {
            "name": self.name,
            "facts": "remote/gunicorn/facts.sh.j2",
            "unit": s.unit,
            "pidfile": pidfile,
            "scope": s.scope,
            "start": s.start,
            "url": s.health.url if s.health else "",
            "public_url": s.health.url if s.health else "",
            "public_socket": "",
            "host": s.health.host if s.health else "",
            "timeout_s": s.health.timeout_s if s.health else 5,
            "wait_s": round(s.health.wait_s if s.health else s.start_s),
        }

    def conditions(self, facts: Facts) -> Iterable[str]:
        """The unsafe ways to start one (facts: docs/zero-downtime.md): each loses code or the service at a reload."""
        answer = facts.answer.below(self.name)
        if stranger := answer.one("stranger"):
            yield f"{self.name}: {stranger}: remove the pidfile, or name the right one"
        if answer.number("master") == 0:
            words, arguments = started(self.settings.start, self.root), ""
        else:
            words, arguments = list(answer.all("word")), answer.one("arguments")
            if facts.uid and answer.number("owner") != facts.uid:
                yield f"{self.name}: its master runs as user {answer.one('owner')}, so what it runs cannot be read"
        yield from (f"{self.name}: {why}" for why in unsafe(words, arguments, self.root))

    def rehearse(self, switch: Switch, facts: Facts) -> tuple[Step, ...]:
        """As the running master was started, with one worker, on a private socket, from the new directory."""
        s, values = self.settings, self.values(switch)
        limit = (s.health.wait_s if s.health else s.start_s) + 30
        if s.rehearse:
            values = {**values, "url": values["url"] if "$SOCKET" in s.rehearse else ""}
            return (rehearsal(switch, self.name, values, s.rehearse, f"run `{s.rehearse}` in it", limit),)
        if not s.health:
            return ()
        words = list(facts.answer.all(f"{self.name}.word")) or started(s.start, self.root)
        where = f"cd {shlex.quote(str(self.root))} && " if s.start else ""  # as `start` does
        # A pidfile that its configuration names, and the default control socket, belong to the running master.
        private = 'exec env XDG_RUNTIME_DIR="${SOCKET%/*}"'
        command = f'{where}{private} {rehearsed(words, self.root, switch.release)} --pid "$SOCKET.pid"'
        values = {**values, "inherits": facts.answer.one(f"{self.name}.master").removeprefix("0")}
        says = f"boot gunicorn from it with one worker on a private socket, ask {s.health.url}, stop it"
        return (rehearsal(switch, self.name, values, command, says, limit),)

    def before(self, switch: Switch) -> tuple[Step, ...]:
        """Nothing: a HUP reads the link, so it comes after the rename."""
        return ()

    def after(self, switch: Switch) -> tuple[Step, ...]:
        """HUP; a changed environment needs a new master, which a restart gives (and a gap)."""
        back = self._stop(switch) if switch.previous is None else self._reload(switch, "reload what was live before")
        says = "restart: its environment has changed" if switch.replaced else "HUP (start it where it is down)"
        step = self._reload(switch, says)
        return (Step(step.name, step.values, says, template=step.template, undo=back, process=self.name),)

    def finish(self, switch: Switch) -> tuple[Step, ...]:
        """Nothing: the old workers end by themselves."""
        return ()

    def words(self, switch: Switch) -> tuple[Step, ...]:
        """Of its unit, or of the log of a `start` of ours."""
        values = {"root": self.root, "process": self.values(switch)}
        return (Step("words", values, "", template="gunicorn/words", process=self.name, timeout_s=10),)

    def proof(self, release: Release, facts: Facts) -> Verdict:
        """Every worker was started after the reload, in *release*, and uses no other.

        A library that the master itself holds is inherited by its workers, and says nothing of what they imported.
        """
        answer = facts.answer.below(self.name)
        master, mark = answer.number("master"), answer.number("mark")
        if stranger := answer.one("stranger"):
            return Verdict(f"{self.name}: {stranger}", final=True)
        if not master:
            return Verdict(f"{self.name}: its master is not running")
        workers = [(int(pid), int(start)) for pid, start in (line.split() for line in answer.all("worker"))]
        if not workers:
            return Verdict(f"{self.name}: master {master} has no worker yet")
        if old := [pid for pid, start in workers if start < mark]:
            return Verdict(f"{self.name}: worker {old[0]} is older than the reload")
        known = {process.pid: process for process in facts.running}
        inherited = known[master].uses if master in known else frozenset()
        for pid, _ in workers:
            process = known.get(pid)
            if not process or process.release != release:
                where = process.release if process else "a directory outside the releases"
                return Verdict(f"{self.name}: worker {pid} works in {where or 'another directory'}, not in {release}")
            if other := process.uses - {release} - inherited:
                return Verdict(f"{self.name}: worker {pid} uses {', '.join(map(str, other))}", final=True)
        return Verdict(note=f"{self.name}: master {master}, {len(workers)} workers")

    def same(self, release: Release, then: Answer, now: Answer) -> bool:
        """The same master with the same workers."""
        keys = (f"{self.name}.master", f"{self.name}.worker")
        return all(set(then.all(key)) <= set(now.all(key)) for key in keys)

    def owns(self, running: Running, facts: Facts) -> bool:
        """The master and its workers."""
        answer = facts.answer.below(self.name)
        workers = {int(line.split()[0]) for line in answer.all("worker")}
        return running.pid == answer.number("master") or running.pid in workers

    def accepts(self, running: Running, facts: Facts) -> bool:
        """A worker of the live release does; one of an older drains."""
        return running.release == facts.live

    def _reload(self, switch: Switch, says: str) -> Step:
        values = {"root": self.root, "process": self.values(switch), "replace": switch.replaced}
        return Step("reload", values, says, template="gunicorn/reload", process=self.name)

    def _stop(self, switch: Switch) -> Step:
        values = {"root": self.root, "process": self.values(switch)}
        return Step("stop", values, "stop it again", template="gunicorn/stop", process=self.name)


def unsafe(words: list[str], arguments: str, root: PurePosixPath) -> Iterable[str]:
    """Why a master with this command line would not load a new release at a HUP; *arguments* is GUNICORN_CMD_ARGS.

    >>> root = PurePosixPath("/srv/shop")
    >>> list(unsafe("/srv/shop/current/.venv/bin/python -m gunicorn --chdir /srv/shop/current app".split(), "", root))
    []
    """
    if not words:
        return
    if words[0].startswith("gunicorn: "):
        yield 'setproctitle hides how it was started: uninstall that, or let systemd run it (kind = "systemd")'
        return
    every = [*words, *_words(arguments)]
    releases, current = f"{root}/releases/", f"{root}/current"
    if words[0].startswith(releases):
        yield (
            "it was started as `current/.venv/bin/gunicorn`, whose first line names one release: it would keep that"
            " release's dependencies, and die when it is pruned; start `current/.venv/bin/python"
            " current/.venv/bin/gunicorn …`"
        )
    chdir = [value for option, value in _options(every) if option == "--chdir"]
    if not chdir or chdir[-1].rstrip("/") not in (current, "current"):
        yield f"it has no `--chdir {current}`: after a HUP it would go on with the old code"
    for option, value in _options(every):
        if option in WRITTEN and value and not value.startswith(("/", "-")):
            yield f"`{option} {value}` is relative, so it lies in the release that is live: give the whole path"
    if "--preload" in every:
        yield "with --preload a HUP never loads new code"


def rehearsed(words: list[str], root: PurePosixPath, release: Release) -> str:
    """The command line of the running master, changed so that it boots *release* on ``$SOCKET`` with one worker."""
    directory = f"{root}/releases/{release}"
    variables = list(takewhile(ASSIGNMENT.match, words))
    kept = [
        word.replace(f"{root}/current", directory)
        if word.startswith(f"{root}/current")
        else (f"{directory}{word.removeprefix('current')}" if word.startswith("current/") else word)
        for word in _without_ours(words[len(variables) :])
    ]
    ours = ["--workers", "1", "--chdir", directory]
    program = 2 if len(kept) > 1 and (kept[1] == "-m" or kept[1].endswith("gunicorn")) else 1
    program += kept[1:2] == ["-m"]
    return f'{shlex.join([*variables, *kept[:program]])} --bind "unix:$SOCKET" {shlex.join([*ours, *kept[program:]])}'


def started(command: str, root: PurePosixPath) -> list[str]:
    """The words of a start command, which runs in *root*, as the master will have them.

    >>> started('exec current/.venv/bin/python current/.venv/bin/gunicorn --chdir "$PWD/current"', PurePosixPath("/a"))
    ['current/.venv/bin/python', 'current/.venv/bin/gunicorn', '--chdir', '/a/current']
    """
    words = [word.replace("${PWD}", str(root)).replace("$PWD", str(root)) for word in _words(command)]
    variables = list(takewhile(LEADING, words))
    return [word for word in variables if "=" in word] + words[len(variables) :]


def _without_ours(words: list[str]) -> Iterable[str]:
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in OURS:
            skip = True
        elif word not in FLAGS and not word.startswith(tuple(f"{option}=" for option in OURS)):
            yield word


def _options(words: list[str]) -> Iterable[tuple[str, str]]:
    for word, following in zip(words, [*words[1:], ""], strict=True):
        option, equals, value = word.partition("=")
        yield option, value if equals else following


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return []
