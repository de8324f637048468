"""The commands that a team rarely edits; `from releases.commands import *` in a tasks.py brings them all."""

import sys
from pathlib import Path
from typing import Any

from invoke.exceptions import Exit

from .layout import Release
from .recipe import fleet, task

__all__ = [
    "contract", "demo", "doctor", "exec_", "init", "join", "migrate", "pin", "probe", "prune", "ps", "releases",
    "setup", "shell", "status", "unlock", "unpin", "verify",
]  # fmt: skip


@task
def releases(c: Any, host: str = "", json: bool = False) -> None:
    """List what is on each host: id, revision, who, when, state, size."""
    with fleet(host, json=json) as hosts:
        from . import housekeeping, tables

        rows = [row for found in housekeeping.sized(hosts.fleet, hosts.survey()) for row in tables.releases(found)]
        hosts.report.answer(tables.text(rows, empty="no release yet"), releases=rows)


@task
def ps(c: Any, host: str = "", json: bool = False) -> None:
    """Show which process runs which release, old beside new; * marks what gets new work."""
    with fleet(host, json=json) as hosts:
        from . import tables

        found = hosts.survey(partly=True)
        running = [row for host in found for row in tables.processes(host)]
        rows = tables.whole(running, hosts.targets, hosts.fleet.unreached)
        hosts.report.answer(tables.text(rows, empty="no process runs a release"), processes=rows)
        if hosts.fleet.unreached or len({host.facts.live for host in found}) > 1:
            raise Exit(code=13)


@task
def status(c: Any, host: str = "", json: bool = False) -> None:
    """Say in one line per host what is live, and what is not as it should be."""
    with fleet(host, json=json) as hosts:
        from . import tables
        from .places import traffic

        found = hosts.survey(partly=True)
        rows = tables.statuses(found, traffic(hosts.fleet, found))
        rows = tables.whole(rows, hosts.targets, hosts.fleet.unreached, live="?")
        hosts.report.answer(tables.text(rows, empty=""), hosts=rows)
        if hosts.fleet.unreached or len({row["live"] for row in rows}) > 1:
            raise Exit(code=13)


@task
def prune(c: Any, host: str = "", wait: str = "", dry_run: bool = False, json: bool = False) -> None:
    """Remove releases that nothing needs any more."""
    with fleet(host, json=json, wait=wait) as hosts:
        hosts.carry(hosts.plan_prune(dry_run=dry_run), dry_run=dry_run)


@task(positional=["release"])
def pin(c: Any, release: str, host: str = "", json: bool = False) -> None:
    """Keep a release whatever prune would say: `pin ID`."""
    with fleet(host, json=json) as hosts:
        from . import housekeeping

        housekeeping.pin(hosts.fleet, hosts.survey(locked=True), Release.named(release), pinned=True)


@task(positional=["release"])
def unpin(c: Any, release: str, host: str = "", json: bool = False) -> None:
    """Let prune decide about a release again: `unpin ID`."""
    with fleet(host, json=json) as hosts:
        from . import housekeeping

        housekeeping.pin(hosts.fleet, hosts.survey(locked=True), Release.named(release), pinned=False)


@task
def unlock(c: Any, host: str = "", yes: bool = False, json: bool = False) -> None:
    """Show who holds each lock, ask, and end that session; what it left is then settled."""
    with fleet(host, json=json) as hosts:
        from . import unlocking

        unlocking.unlock(hosts.fleet, hosts.survey(), yes=yes)


@task
def verify(c: Any, release: Any = None, host: str = "", json: bool = False) -> None:
    """Compare a release (the live one) with its manifest, byte for byte."""
    with fleet(host, json=json) as hosts:
        from . import housekeeping

        name = Release.named(release) if release is not None else None
        hosts.end(housekeeping.verify(hosts.fleet, hosts.survey(), name))


@task
def contract(c: Any, host: str = "", dry_run: bool = False, json: bool = False) -> None:
    """Run the contract migrations of the live release, once nothing runs older code."""
    with fleet(host, json=json) as hosts:
        from .migrating import contract as contracting

        hosts.carry(contracting(hosts.survey(locked=not dry_run), hosts.fleet.author), dry_run=dry_run)


@task
def migrate(c: Any, host: str = "", dry_run: bool = False, json: bool = False) -> None:
    """Run the expand migrations of the live release now."""
    with fleet(host, json=json) as hosts:
        from .migrating import migrate as migrating

        hosts.carry(migrating(hosts.survey(locked=not dry_run), hosts.fleet.author), dry_run=dry_run)


@task(positional=["target"])
def join(
    c: Any, target: str, host: str = "", without: str = "", wait: str = "", dry_run: bool = False, json: bool = False
) -> None:
    """Bring a host that was left out, or is new, to what is live on the others: `join HOST`."""
    with fleet(host, json=json, wait=wait, without=without) as hosts:
        hosts.carry(hosts.plan_join(target, dry_run=dry_run), dry_run=dry_run)


@task
def setup(c: Any, host: str = "", json: bool = False) -> None:
    """Prepare hosts: directories and units; print what needs root, and exit with 10 while something does."""
    with fleet(host, json=json) as hosts:
        from . import housekeeping

        if not housekeeping.setup(hosts.fleet, hosts.survey()):
            raise Exit(code=10)


@task
def doctor(c: Any, host: str = "", json: bool = False) -> None:
    """Find what would bite, here and on the hosts."""
    with fleet(host, json=json) as hosts:
        from . import housekeeping

        hosts.end(housekeeping.doctor(hosts.fleet, hosts.survey(balanced=True)))


@task(name="exec", positional=["run"], help={"run": "The command, run by sh in the live release."})
def exec_(c: Any, run: str, host: str = "", json: bool = False) -> None:
    """Run a command in the live release on every host: `exec "COMMAND"`."""
    with fleet(host, json=json) as hosts:
        from . import housekeeping

        housekeeping.execute(hosts.fleet, hosts.survey(), run)


@task
def shell(c: Any, host: str = "") -> None:
    """Open a shell in the live release of one host."""
    with fleet(host) as hosts:
        from . import housekeeping

        found = hosts.one(hosts.survey(), "shell")
        housekeeping.shell(hosts.fleet.targets, found)


@task
def init(c: Any) -> None:
    """Start a project: copy tasks.py and a deploy.toml to fill in."""
    from .listeners import UNWRITTEN
    from .report import Report
    from .starting import start

    report = Report()
    for line in start(Path.cwd()):
        report.answer(line)
    if report.lost:
        raise Exit(code=UNWRITTEN)


@task(positional=["url"], help={"url": "What is asked, ten times a second.", "limit": "Seconds for one answer."})
def probe(c: Any, url: str, limit: float = 0.1) -> None:
    """Say until Ctrl-C whether a site is UP, DOWN or UP AND CHANGED, then the figures: `probe URL`."""
    from . import probing

    probing.show(url, limit_s=limit)


@task(help={"keep": "Leave the project and the host behind, to look at."})
def demo(c: Any, keep: bool = False) -> None:
    """Show it all on this machine: deploys under load, a refused release, a rollback."""
    from .demo import main

    raise Exit(code=main(sys.stdout, keep=keep))
