"""What the commands do, on the hosts that deploy.toml names; the tasks are thin over it."""

import getpass
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import replace

from invoke.exceptions import Exit

from . import deploy, joining, prune, rollback
from . import promote as deciding
from .build import build
from .carry import Carriage
from .config import Target
from .copying import Copying
from .deploy import Shipment
from .errors import Refused, UsageError
from .fleet import Fleet
from .layout import Release
from .outcome import Outcome
from .plan import Plan
from .processes.kinds import kinds
from .report import Report
from .selection import Selection
from .shipping import Shipping
from .strategies import check_fits
from .surveyed import Surveyed
from .switching import Author


class Operations:
    """The hosts of one command, and what can be done to them; a context manager that frees every lock."""

    def __init__(self, selection: Selection, report: Report, *, wait_s: float = 0.0) -> None:
        self.project, self.targets, self.report, self.wait_s = selection.project, selection.targets, report, wait_s
        us = replace(author(os.environ), without=selection.without)
        self.fleet = Fleet(selection.targets, report, us, selection.dialing)
        self.everybody = (*self.fleet.targets, *selection.without)
        self.shipping: Shipping | Copying | None = None

    @classmethod
    def load(cls, selection: Selection, *, as_json: bool, wait: str) -> "Operations":
        """What can be done to the hosts of *selection*; *wait* is like ``10m``."""
        return cls(selection, Report(as_json=as_json), wait_s=seconds(wait))

    def __enter__(self) -> "Operations":
        return self

    def __exit__(self, *error: object) -> None:
        self.report.release_terminal()
        self.fleet.close()

    def survey(self, *, locked: bool = False, balanced: bool = False, partly: bool = False) -> tuple[Surveyed, ...]:
        """Connect, and learn what is true on every host; *balanced*: and whether their balancers can do their part.

        *partly*: on every host that can be reached, which must be one at least.
        """
        return self.fleet.open(locked=locked, wait_s=self.wait_s, balanced=balanced, partly=partly)

    def plan_deploy(
        self,
        revision: str = "HEAD",
        *,
        release: str | None = None,
        force: bool = False,
        dry_run: bool = False,
        promote: bool = False,
        abort_canary: bool = False,
    ) -> Plan:
        """Build *revision* (or take a *release* that is there already), survey the hosts, and plan.

        With *promote* or *abort_canary* nothing is built: it decides about the canary that waits.
        """
        if promote or abort_canary:
            return self._plan_decision(promote, abort_canary, bool(release or force), dry_run)
        check_fits(self.targets[0].config.strategy, self.everybody)
        if release is not None:
            hosts, named = self.survey(locked=not dry_run, balanced=True), Release.named(release)
            return deploy.redeploy(hosts, named, self.fleet.author, copy=self._copy(hosts, named))
        config, files = self.targets[0].config, shipped_files(self.targets)
        built = build(self.project, config, revision, files=files, say=lambda line: self.report.say(line, "build"))
        if built.dirty:
            self.report.say("the work tree has changes that are not committed: they are not shipped", "build")
        hosts = self.survey(locked=not dry_run, balanced=True)
        shipping = self.shipping = Shipping.of(self.fleet, built, hosts)
        return deploy.deploy(hosts, shipping.shipment, self.fleet.author, force=force)

    def _plan_decision(self, promote: bool, abort_canary: bool, more: bool, dry_run: bool) -> Plan:
        if (promote and abort_canary) or more:
            raise UsageError(
                "--promote and --abort-canary decide about the canary that waits, and about nothing else",
                hint="one of them, without --release and --force",
            )
        decide = deciding.promote if promote else deciding.abort
        return decide(self.survey(locked=not dry_run, balanced=True), self.fleet.author)

    def plan_rollback(self, *, to: str | None = None, dry_run: bool = False) -> Plan:
        """Survey the hosts, and plan to go back."""
        hosts = self.survey(locked=not dry_run, balanced=True)
        copy = self._copy(hosts, rollback.target(hosts, to))
        return rollback.rollback(hosts, self.fleet.author, to=to, copy=copy)

    def _copy(self, hosts: tuple[Surveyed, ...], release: Release) -> Shipment | None:
        """What has to be sent to those of *hosts* that lack *release*, from one that has it."""
        self.shipping = Copying.of(self.fleet, hosts, release)
        return self.shipping.shipment if self.shipping else None

    def plan_join(self, target: str, *, dry_run: bool = False) -> Plan:
        """Survey the hosts, and plan to bring one of them to what is live on the others."""
        name = joining.named(target, self.targets)
        hosts = self.survey(locked=not dry_run, balanced=True)
        copy = self._copy(hosts, joining.agreed(name, hosts))
        return joining.join(name, hosts, self.fleet.author, copy=copy)

    def plan_prune(self, *, dry_run: bool = False) -> Plan:
        """Survey the hosts, and plan to remove what has expired."""
        return prune.prune(self.survey(locked=not dry_run))

    def carry(self, plan: Plan, *, dry_run: bool = False) -> None:
        """Carry *plan*, or print it; ends the command with the exit code of the outcome when that is not 0."""
        if dry_run:
            self.report.plan(plan)
            return
        self.report.event("plan", verb=plan.verb, release=str(plan.release or ""), number=plan.number)
        for note in plan.notes:
            self.report.say(note)
        send = self.shipping.send if self.shipping else _nothing
        self.end(Carriage(plan, self.fleet, send).carry())

    def end(self, outcome: Outcome) -> None:
        """Say how it ended, and exit with its code."""
        self.report.outcome(outcome)
        if outcome.exit_code:
            raise Exit(code=outcome.exit_code)

    def one(self, hosts: tuple[Surveyed, ...], what: str) -> Surveyed:
        """The only host, for what can be done on one at a time."""
        if len(hosts) > 1:
            names = ", ".join(host.name for host in hosts)
            raise UsageError(f"{what} works on one host", hint=f"--host names one of: {names}")
        return hosts[0]


def author(environ: Mapping[str, str]) -> Author:
    """Who we are: the CI job's user where it says so, else the account."""
    ci = next((environ[key] for key in ("CI_JOB_URL", "BUILD_URL") if environ.get(key)), "")
    if environ.get("GITHUB_RUN_ID"):
        where = (environ.get(f"GITHUB_{key}", "") for key in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
        ci = "{}/{}/actions/runs/{}".format(*where)
    who = environ.get("GITLAB_USER_LOGIN") or environ.get("GITHUB_ACTOR") or _account()
    return Author(_plain(who), _plain(socket.gethostname()), _plain(ci))


def shipped_files(targets: tuple[Target, ...]) -> dict[str, bytes]:
    """What every release holds that is no part of the build: how its processes are started, on whichever host.

    Raises `UsageError` where hosts do not agree on what is built, or on how a process of the same name is started.
    """
    files, first = dict[str, bytes](), targets[0]
    for target in targets:
        if target.config.build != first.config.build:
            raise UsageError(
                f"{first.name} and {target.name} are to get another [build]", hint="deploy them one after the other"
            )
        for path, text in ((p, t) for kind in kinds(target.config) for p, t in kind.files().items()):
            if files.setdefault(path, text) != text:
                name = path.rpartition("/")[2]
                raise UsageError(
                    f"{target.name}: the process {name} is started in another way than elsewhere",
                    hint="a process that differs needs a name of its own: [processes.NAME]",
                )
    if commands := dict.fromkeys(line for target in targets for line in target.config.prepare.commands):
        files[".release/prepare"] = ("\n".join(commands) + "\n").encode()
    return files


def seconds(text: str) -> float:
    """Read a time to wait.

    >>> seconds("90"), seconds("10m"), seconds("")
    (90.0, 600.0, 0.0)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h|)", text or "0")
    if not found:
        raise UsageError(f"--wait {text}: not a time", hint="like 90s, 10m or 1h")
    return float(found[1]) * {"s": 1, "": 1, "m": 60, "h": 3600}[found[2]]


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _plain(text: str) -> str:
    return re.sub(r"[^\w@.:/+-]", "_", text, flags=re.ASCII)[:120]


def _nothing(name: str, *_: object) -> None:
    raise Refused(f"{name}: there is nothing to send")
