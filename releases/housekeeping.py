"""What is done on hosts besides deploys: pins, locks, checks, commands in the live release."""

import os
import shlex
from collections.abc import Iterator
from dataclasses import replace

from . import steps
from .ailing import ailments
from .answer import Answer
from .config import Target
from .errors import Refused, ReleaseError, StepFailed
from .facts import Facts
from .fleet import Fleet
from .layout import Release
from .outcome import Outcome
from .plan import Step
from .setup import setup as setting_up
from .surveyed import Surveyed

TIMED_OUT = 124  # as `timeout` says it


def sized(fleet: Fleet, hosts: tuple[Surveyed, ...]) -> Iterator[Surveyed]:
    """The hosts, with how much of the disk each release takes (files shared with others counted in each)."""
    for host in hosts:
        step = Step("sizes", {"root": host.config.root, "releases": host.facts.complete}, "")
        answer = fleet.run(host.name, step)
        yield replace(host, facts=replace(host.facts, answer=Answer((*host.facts.answer.pairs, *answer.pairs))))


def pin(fleet: Fleet, hosts: tuple[Surveyed, ...], release: Release, *, pinned: bool) -> None:
    """Add a release to the pins of every host, or take it out."""
    for host in hosts:
        if pinned and release not in host.facts.complete:
            raise Refused(f"{host.name}: there is no complete release {release}", hint="`inv releases` lists them")
        fleet.run(host.name, Step("pin", {"root": host.config.root, "release": release, "pinned": pinned}, ""))
        fleet.report.say(f"{release} is {'pinned' if pinned else 'no longer pinned'}", host.name)


def verify(fleet: Fleet, hosts: tuple[Surveyed, ...], release: Release | None) -> Outcome:
    """Compare a release, by default the live one, with its manifest on every host, which is the answer."""
    words, found = {}, set[Release]()
    for host in hosts:
        wanted = release or host.facts.live
        if not wanted:
            there = "name a release: `inv releases` lists them" if host.facts.complete else "`inv deploy` changes that"
            raise Refused(f"{host.name}: nothing is live", hint=there)
        step = steps.verify(host.layout, wanted)
        try:
            verdict = steps.whole(str(wanted), fleet.run(host.name, step))
        except StepFailed as error:
            raise Refused(str(error), hint="`inv releases` lists what is there") from error
        found.add(wanted)
        words[host.name] = said = verdict.why or f"{wanted} is what was built"
        answer = {"host": host.name, "release": str(wanted), "whole": bool(verdict), "why": verdict.why}
        fleet.report.answer(f"{host.name}: {said}", **answer)
    broken = [f"{name}: {word}" for name, word in words.items() if "is not what was built" in word]
    name, one = "refused" if broken else "done", str(found.pop()) if len(found) == 1 else ""
    return Outcome(name, one, why=broken[0] if broken else "", hosts=words, looked=True)


def execute(fleet: Fleet, hosts: tuple[Surveyed, ...], run: str) -> None:
    """Run a command in the live release of every host; what it prints is the answer, as it comes."""
    for host in hosts:
        values = {"root": host.config.root, "release": _live(host), "command": run}
        before = f"{host.name}: " if len(hosts) > 1 else ""

        def answer(line: str, name: str = host.name, before: str = before) -> None:
            fleet.report.answer(f"{before}{line}", host=name, line=line)

        try:
            fleet.run(host.name, Step("exec", values, "", timeout_s=3600), out=answer)
        except StepFailed as error:  # what it said was heard
            if error.code == TIMED_OUT:
                raise
            raise StepFailed(host.name, "exec", error.code, [f"`{run}`: exit {error.code}"], hint=error.hint) from None


def shell(targets: dict[str, Target], host: Surveyed) -> None:
    """Become an interactive ssh in the live release of *host*; returns only when ssh is missing."""
    target, live = targets[host.name], _live(host)
    where = f"{target.user}@{target.hostname}" if target.user else target.hostname
    port = ["-p", str(target.port)] if target.port else []
    inside = f'cd {shlex.quote(f"{host.config.root}/releases/{live}")} && exec "${{SHELL:-/bin/sh}}" -l'
    try:
        os.execvp("ssh", ["ssh", "-t", *port, where, inside])
    except FileNotFoundError as error:
        raise Refused("there is no ssh on this machine", hint="install the OpenSSH client") from error


def _live(host: Surveyed) -> Release:
    if problem := host.app_problem():
        raise problem
    if not host.facts.live:
        raise Refused(f"{host.name}: nothing is live", hint="`inv deploy` changes that")
    return host.facts.live


def setup(fleet: Fleet, hosts: tuple[Surveyed, ...]) -> bool:
    """Prepare every host, and print what is left for root; True when nothing is."""
    ready = True
    for host in hosts:
        if (problem := host.root_problem()) and host.facts.answer.one("root") == "file":
            raise problem
        if problem := host.app_problem():
            raise problem
        answer = fleet.run(host.name, setting_up(host.config, host.facts))
        needs = answer.all("need")
        ready = ready and not needs
        for need in needs:
            fleet.report.answer(f"{host.name}: needs root, once: {need}", host=host.name, need=need)
        if line := answer.one("cron"):
            starts = ", and starts each gunicorn that has a pidfile" if line.endswith(" start") else ""
            why = f"so that a reboot settles what it cut short{starts}, add to the crontab"
            fleet.report.answer(f"{host.name}: {why}: {line}", host=host.name, cron=line)
        for path in host.facts.missing if not needs else ():
            fleet.report.say(f"shared/{path} is still missing", host.name)
        if not needs:
            fleet.report.answer(f"{host.name}: ready", host=host.name, ready=True)
        else:
            fleet.report.say("then `inv setup` once more, to see that nothing is left", host.name)
    return ready


def doctor(fleet: Fleet, hosts: tuple[Surveyed, ...]) -> Outcome:
    """Everything that stands in the way or is down, of every host; nothing is changed."""
    found: list[tuple[str, ReleaseError]] = [(host.name, p) for host in hosts for p in (*host.problems(), *_ill(host))]
    for name, problem in found:
        hint = f"\n  hint: {problem.hint}" if problem.hint else ""
        fleet.report.answer(f"{problem}{hint}", host=name, problem=str(problem), hint=problem.hint)
    for host in hosts:
        for line in advice(host.facts):
            fleet.report.answer(f"{host.name}: {line}", host=host.name, advice=line)
    clash = _import_clash()
    if clash:
        fleet.report.answer(clash, problem=clash)
    if found or clash:
        count = len(found) + bool(clash)
        return Outcome("refused", why=f"{count} thing{'s' if count > 1 else ''} would bite", looked=True)
    fleet.report.answer("nothing would bite", problems=0)
    return Outcome("done", looked=True)


def _ill(host: Surveyed) -> Iterator[Refused]:
    """What is down or gone, and stands in nobody's way."""
    return (Refused(f"{host.name}: {ill.why}", hint=ill.hint) for ill in ailments(host) if ill.hint)


def advice(facts: Facts) -> Iterator[str]:
    """What does not stop a deploy, and is worth a look."""
    if abs(facts.clock_skew_s) > 60:
        yield f"its clock is {facts.clock_skew_s:+.0f} s off; order comes from the journal, but people read times"
    if facts.debris:
        yield f"{len(facts.debris)} incomplete releases; the next deploy removes those that have our names"
    if "curl" not in facts.tools and "python3" in facts.tools:
        yield "it has no curl: python3 asks health URLs"
    if facts.uid == 0:
        yield "the deploy account is root; any account that owns the root directory is enough"


def _import_clash() -> str:
    """The Sphinx extension ``releases`` has our import name."""
    from importlib.metadata import packages_distributions

    owners = set(packages_distributions().get("releases", ())) - {"switchover"}
    return f"another package here is imported as `releases`: {', '.join(owners)}; uninstall it" if owners else ""
