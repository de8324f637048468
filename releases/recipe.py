"""The shipped tasks.py as an importable namespace, and what a tasks.py needs: `task`, `fleet`, `command`.

Nothing here imports fabric, paramiko or jinja2 before a command runs, so that ``inv --list`` is quick.
"""

import functools
import gc
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke import tasks as invoked
from invoke.collection import Collection
from invoke.exceptions import Exit

from .errors import ReleaseError, UsageError
from .interrupting import Terminated, deafen, listen, pressed
from .listeners import UNWRITTEN, opened

if TYPE_CHECKING:
    from .operations import Operations
    from .plan import Step

HERE = Path(__file__).parent
TASKS = (HERE / "shared" if (HERE / "shared").is_dir() else HERE.parent) / "tasks.py"

READING = frozenset({"doctor", "init", "plan", "probe", "ps", "releases", "status", "verify"})  # only that
HELP = {
    "host": "Names of [hosts.NAME] or addresses, separated by commas.",
    "json": "One JSON object per line on stdout.",
    "wait": "Wait so long for a lock: 90s, 10m.",
    "target": "The host that joins.",
    "without": "Leave out these hosts.",
    "dry-run": "Print the plan and stop.",
    "revision": "A branch, tag or commit.",
    "release": "A release that some host has already.",
    "force": "Make a new release even if the same is live.",
    "to": "The release to go back to.",
    "promote": "Put the canary that waits on the rest.",
    "abort-canary": "Take the canary that waits back.",
    "yes": "Do not ask.",
}


def task(*args: Any, **options: Any) -> Any:
    """`invoke.task`, with the help of the flags that all commands share, and errors shown as one line."""
    if len(args) == 1 and callable(args[0]) and not options:
        return task()(args[0])

    def decorate(body: Callable[..., Any]) -> Any:
        names = body.__code__.co_varnames[: body.__code__.co_argcount]
        shared = {k: v for k, v in HELP.items() if k.replace("-", "_") in names}
        name = options.get("name", body.__name__)
        return invoked.task(*args, **{**options, "help": shared | options.get("help", {})})(_guarded(body, name))

    return decorate


@contextmanager
def fleet(host: str = "", *, json: bool = False, wait: str = "", without: str = "") -> "Iterator[Operations]":
    """The hosts that *host* names in ./deploy.toml, with everything that can be done to them; closed at the end."""
    operations = _loaded(host, json=json, wait=wait, without=without)
    try:
        with operations:
            try:
                yield operations
            except Exit as ended:
                deafen()
                operations.report.end(ended.code)
                raise
            except BaseException:
                operations.report.silence()  # `_show` has the last word
                raise
            deafen()
            operations.report.end(0)
            if operations.report.lost:
                raise Exit(code=UNWRITTEN)
    except KeyboardInterrupt:
        if operations.report.last_word is None:
            raise
        raise Exit(code=operations.report.last_word) from None  # too late to make another outcome of it


def _loaded(host: str, *, json: bool, wait: str, without: str) -> "Operations":
    """All that a command needs, loaded while its hosts are called."""
    gc.disable()  # what is loaded stays: to go through it takes a tenth of the time of loading, and as much at the end
    try:
        from .selection import select

        selection = select(Path.cwd(), host=host, without=without)
        from .operations import Operations  # while the hosts are called: this takes as long
    finally:
        gc.freeze()
        gc.enable()
    return Operations.load(selection, as_json=json, wait=wait)


def command(run: str, *, undo: str = "", timeout_s: float = 600.0) -> "Step":
    """A step of your own: *run* in the new release on each host; taken back by *undo*.

    ``plan = plan.before("publish", command("bin/warm-cache"))``
    """
    from .steps import command

    return command(run, undo=undo, timeout_s=timeout_s)


def _guarded(body: Callable[..., Any], name: str) -> Callable[..., Any]:
    @functools.wraps(body)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        opened()
        listen()  # a task before this one may have ended
        try:
            signal.signal(signal.SIGTERM, _terminate)
            _understood(name, args, kwargs)
            return body(*args, **kwargs)
        except ReleaseError as error:
            deafen()
            _show(error, as_json=bool(kwargs.get("json")))
            raise Exit(code=error.exit_code) from None
        except (KeyboardInterrupt, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not pressed(error):
                raise
            deafen()
            _show(_interrupted(name), as_json=bool(kwargs.get("json")))
            raise Exit(code=ReleaseError.exit_code) from None

    return guarded


def _understood(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """What invoke takes for something else: ``--help`` for the word that a command needs, ``--dry`` for its own."""
    if "--help" in kwargs.values():
        # Anew: invoke forgets what a flag is for once it has read it.
        raise Exit(code=subprocess.run([sys.executable, "-m", "releases", "--help", name]).returncode)
    if args and args[0].config.run.dry:
        raise UsageError(
            "--dry is for what invoke itself runs, and would keep us from nothing",
            hint="`inv plan`, or `--dry-run` behind the command, changes nothing",
        )


def _interrupted(name: str) -> ReleaseError:
    if name in READING:
        return ReleaseError("interrupted, nothing was changed")
    return ReleaseError("interrupted", hint="`inv status` asks the hosts what is true")


def _show(error: ReleaseError, *, as_json: bool) -> None:
    from .report import Report

    report = Report(as_json=as_json)
    report.error(error)
    report.end(error.exit_code)


def _terminate(number: int, frame: object) -> None:
    raise Terminated


def namespace(path: Path = TASKS) -> Collection:
    """The commands of a tasks.py as a collection; of the shipped one by default."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("tasks", path)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return Collection.from_module(module)
