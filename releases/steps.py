"""The steps we know; each is idempotent, and says how it is taken back."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from .answer import Answer
from .config import Config
from .facts import Facts
from .layout import Layout, Release
from .plan import Phase, Step, Verdict, copied
from .processes.kind import Kind, Switch

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HASHING_S = 1800.0  # what every byte of a release may take to be read
ASKING_S = 60.0  # what a proof may take besides its questions


def survey(config: Config, kinds: Iterable[Kind]) -> Step:
    """Ask a host for all that `Facts` knows."""
    values = {
        "root": config.root,
        "expected": config.shared.files,
        "environment": config.prepare.environment,
        "processes": [{**k.values(), "surveyed": True} for k in kinds],
    }
    return Step("survey", values, "look")


def settle(layout: Layout, holder: str) -> Step:
    """Say who holds the lock, and settle what a dead deploy left."""
    return Step("settle", {"root": layout.root, "holder": holder}, "settle what a dead deploy left", timeout_s=300)


def begin(layout: Layout, event: str, untold: tuple[str, ...] = (), *, app: str = "") -> Step:
    """Write the deploy down before it changes anything, whose root it is, and what other hosts know of the database."""
    values = {"root": layout.root, "app": app, "deploy": event, "untold": untold}
    return Step("begin", values, "write the deploy into the journal", Phase.STAGE)


def share(layout: Layout, leader: str) -> Step:
    """Write down what *leader* has just done to the database; the lines are filled in when it is known."""
    values = {"root": layout.root, "leader": leader, "untold": ()}
    return Step("share", values, f"write down which migrations ran on {leader}", Phase.REHEARSE)


def end(layout: Layout, event: str, phase: Phase = Phase.AFTER) -> Step:
    """Write down how it ended, if it did not go live."""
    return Step("end", {"root": layout.root, "ended": event}, "write its end into the journal", phase)


def stage(layout: Layout, release: Release, base: Release | None) -> Step:
    """Make room: what dead deploys left half made goes; *base*, which files are linked from, is verified."""
    says = "remove what dead deploys left half made"
    return Step(
        "stage", {"root": layout.root, "release": release, "base": base}, says, Phase.STAGE, timeout_s=HASHING_S
    )


def send(layout: Layout, release: Release, says: str, *, timeout_s: float) -> Step:
    """Send the release: one stream over one channel."""
    return Step(
        "send",
        {"root": layout.root, "release": release},
        says,
        Phase.STAGE,
        timeout_s=timeout_s,
        streams=True,
    )


def check(layout: Layout, release: Release, digest: str, *, copies: bool) -> Step:
    """Compare every digest and mode with the manifest; *copies*: share no file with another release, as `copied`."""
    values = {"root": layout.root, "release": release, "manifest": digest, "copies": False}
    says, judge = "compare every file with the manifest", partial(whole, str(release))
    step = Step("check", values, says, Phase.STAGE, judge=judge, timeout_s=HASHING_S)
    return copied(step) if copies else step


def verify(layout: Layout, release: Release, phase: Phase = Phase.STAGE) -> Step:
    """Compare a complete release with its manifest."""
    values = {"root": layout.root, "release": release}
    says, judge = f"compare {release} with its manifest", partial(whole, str(release))
    return Step("verify", values, says, phase, judge=judge, timeout_s=HASHING_S)


def whole(release: str, answer: Answer) -> Verdict:
    """Nothing differs from the manifest."""
    differs = [(kind, path) for kind, path in answer if kind in _SAID]
    if not differs:
        return Verdict()
    first = ", ".join(f"{path} {_SAID[kind]}" for kind, path in differs[:3])
    more = f" and {len(differs) - 3} more" if len(differs) > 3 else ""
    return Verdict(f"{release} is not what was built: {first}{more}", final=True)


_SAID = {
    "changed": "has other bytes",
    "missing": "is missing",
    "unreadable": "cannot be read",
    "mode": "has another mode",
}


def link(config: Config, release: Release) -> Step:
    """Link shared files and directories into the release."""
    shared = config.shared
    paths = ", ".join((*shared.files, *(f"{d}/" for d in shared.dirs)))
    values = {"root": config.root, "release": release, "files": shared.files, "dirs": shared.dirs}
    return Step("link", values, f"link {paths} from shared/", Phase.STAGE)


def seal(layout: Layout, release: Release, *, again: bool) -> Step:
    """Make the release read-only, and write its manifest into place.

    *again*: commands ran in it since it was checked; what was shipped must still be so, or no rollback could trust it.
    """
    says = "make it read-only, and complete: the manifest is written last"
    values = {"root": layout.root, "release": release, "again": again}
    return Step("seal", values, says, Phase.STAGE, judge=_unchanged, timeout_s=HASHING_S)


def _unchanged(answer: Answer) -> Verdict:
    if found := whole("", answer).why:
        return Verdict(
            f"`prepare` changed what was shipped:{found.partition(':')[2]}; do it in [build] instead", final=True
        )
    return Verdict()


def commands(
    name: str,
    run: tuple[str, ...],
    switch: Switch,
    *,
    phase: Phase,
    timeout_s: float = 600.0,
    undo: Step | None = None,
) -> Step:
    """Run commands of the user in the new release."""
    old = f"{switch.root}/releases/{switch.previous}" if switch.previous else ""
    values = {
        "root": switch.root,
        "what": name,
        "directory": f"releases/{switch.release}",
        "commands": run,
        "new": f"{switch.root}/releases/{switch.release}",
        "old": old,
    }
    says = "run " + ", ".join(f"`{command}`" for command in run)
    return Step(name, values, says, phase, template="commands", timeout_s=timeout_s, undo=undo)


def arm(switch: Switch) -> Step:
    """Write down how the switch is taken back; what it needs of the whole plan is filled in when it is carried."""
    says = "arm the dead man's switch: from here on the host goes back by itself"
    return Step("arm", {"root": switch.root, "number": switch.number}, says)


def publish(layout: Layout, release: Release, previous: Release | None) -> Step:
    """Point ``current`` at *release* in one rename."""
    here = {"root": layout.root, "release": layout.relative(release), "nonce": release.name, "back": False}
    undo = (
        Step("publish", here | {"release": layout.relative(previous), "nonce": previous.name, "back": True}, "")
        if previous
        else Step("unpublish", {"root": layout.root}, "")
    )
    return Step("publish", here, f"current -> {layout.relative(release)}", undo=undo)


def prove(config: Config, release: Release, kinds: tuple[Kind, ...], switch: Switch | None, *, wait_s: float) -> Step:
    """Read from the host which release each process runs, until all run *release* or *wait_s* is over."""
    judge = partial(proven, config, release, kinds)
    says = _promise(config, kinds, release)
    values = _asked(config, kinds, switch, 0)
    limit_s = ASKING_S + _asking_s(config, kinds)
    return Step("prove", values, says, judge=judge, timeout_s=limit_s, patience_s=wait_s, words=_words(kinds, switch))


def settled(config: Config, release: Release, kinds: tuple[Kind, ...], switch: Switch | None, *, wait_s: float) -> Step:
    """The same once more, after ``settle_s``, with the same processes."""
    pause = config.strategy.settle_s
    judge = partial(_still_proven, config, release, kinds)
    says = f"{'the same processes still do' if kinds else 'it still does'} after {pause:g} s"
    values = _asked(config, kinds, switch, pause)
    return Step(
        "settled",
        values,
        says,
        template="prove",
        judge=judge,
        timeout_s=ASKING_S + pause + 2 * _asking_s(config, kinds),
        patience_s=wait_s,
        words=_words(kinds, switch),
    )


def _words(kinds: tuple[Kind, ...], switch: Switch | None) -> tuple[Step, ...]:
    return tuple(step for kind in kinds for step in kind.words(switch)) if switch else ()


def probe(config: Config, kinds: tuple[Kind, ...], switch: Switch) -> tuple[Step, ...]:
    """The N-1 probe: what is live must still answer after the expand migrations."""
    asked = [kind.values(switch) for kind in kinds if kind.values(switch)["public_url"]]
    if not asked and not config.health:
        return ()
    values = {**_asked(config, (), switch, 0), "processes": asked}
    says, limit_s = f"{switch.previous}, still live, answers on the new schema", 10 + _asking_s(config, kinds)
    return (Step("probe", values, says, Phase.EXPAND, judge=_all_healthy, timeout_s=limit_s, patience_s=5),)


def _asking_s(config: Config, kinds: Iterable[Kind]) -> float:
    """How long it takes until every question has run into its limit."""
    limits = [float(str(values["timeout_s"])) for kind in kinds if (values := kind.values())["url"]]
    return sum(limits) + (config.health.timeout_s if config.health else 0.0)


def _all_healthy(answer: Answer) -> Verdict:
    for key, said in answer:
        if key.endswith(".health") and not said.startswith("2"):
            return Verdict(f"{key.removesuffix('.health')}: what is live answered {said} after the expand migrations")
    return Verdict()


def confirm(layout: Layout, number: int) -> Step:
    """Disarm by one rename: from here on nothing is taken back."""
    values = {"root": layout.root, "number": number}
    return Step("confirm", values, "disarm by one rename; the journal says live", Phase.CONFIRM)


def finish(layout: Layout, number: int) -> Step:
    """Carry what follows a confirmed switch."""
    says = "tell what was replaced to stop, and forget the arm"
    return Step("finish", {"root": layout.root, "number": number}, says, Phase.AFTER)


def prune(layout: Layout, expired: tuple[Release, ...], event: str) -> Step:
    """Remove releases that nothing needs."""
    says = f"remove {', '.join(map(str, expired))}"
    values = {"root": layout.root, "releases": expired, "pruned": event}
    return Step("prune", values, says, Phase.AFTER, timeout_s=600)


def proven(config: Config, release: Release, kinds: tuple[Kind, ...], answer: Answer) -> Verdict:
    """``current`` names *release*, every process runs it, and health answers."""
    facts = Facts.of("", answer, now=EPOCH)
    if facts.live != release:
        return Verdict(f"current names {facts.live or 'nothing'}, not {release}", final=True)
    notes = []
    for kind in kinds:
        if not (verdict := kind.proof(release, facts)):
            return replace(verdict, about=kind.name)
        notes.append(verdict.note)
        asked = kind.values()["url"]
        said = answer.one(f"{kind.name}.health", "" if asked else "200")
        if not said.startswith("2"):
            return Verdict(f"{kind.name}: {asked} {_answered(said)}", about=kind.name, quotes=said.startswith("3"))
    if config.health and not (said := answer.one("health")).startswith("2"):
        redirect = said.startswith("3")
        return Verdict(f"{config.health.url} {_answered(said)}", final=redirect, quotes=redirect)
    return Verdict(note="; ".join(filter(None, notes)))


def _answered(said: str) -> str:
    """A status as what was answered; else why nothing was."""
    return f"answered {said}, wanted 200" if said[:1].isdigit() else f"did not answer: {said or 'nothing was said'}"


def watched(settled: Step, first: Answer) -> Step:
    """The proof again, at once, with the processes that *first*, an answer of *settled*, saw last."""
    asked = settled.judge
    assert asked
    then = tuple((f"then.{key}", value) for key, value in first if not key.startswith("then."))
    return replace(
        settled,
        values={**settled.values, "settle_s": "0"},
        judge=lambda answer: asked(Answer((*then, *answer))),
        patience_s=0.0,
    )


def _still_proven(config: Config, release: Release, kinds: tuple[Kind, ...], answer: Answer) -> Verdict:
    now = Answer(tuple((k, v) for k, v in answer if not k.startswith("then.")))
    before = tuple((k.removeprefix("then."), v) for k, v in answer if k.startswith("then."))
    then = Answer(before) if before else now
    if not (verdict := proven(config, release, kinds, then)):
        return verdict
    for kind in kinds:
        if not kind.same(release, then, now):
            # Not asked again: processes that keep dying would pass as soon as none of them dies during the pause.
            why = f"{kind.name}: processes that were proven died within the pause"
            return Verdict(why, final=True, about=kind.name)
    return proven(config, release, kinds, now)


def _asked(config: Config, kinds: Iterable[Kind], switch: Switch | None, pause: float) -> Mapping[str, object]:
    health = config.health
    return {
        "root": config.root,
        "settle_s": f"{pause:g}",
        "processes": [kind.values(switch) if switch else _public(kind.values()) for kind in kinds],
        "url": health.url if health else "",
        "host": health.host if health else "",
        "timeout_s": health.timeout_s if health else 5,
    }


def _public(values: Mapping[str, object]) -> Mapping[str, object]:
    """Asked as clients ask: without a switch there is no instance to ask for."""
    return {**values, "url": values["public_url"]}


def _promise(config: Config, kinds: tuple[Kind, ...], release: Release) -> str:
    """What a proof sees, in words."""
    asked = [f"{config.health.url} answers 200"] if config.health else []
    asked += [f"{kind.name} answers 200" for kind in kinds if kind.values()["url"]]
    return ", ".join([f"every process runs {release}" if kinds else f"current leads to {release}", *asked])


def command(run: str, *, undo: str = "", timeout_s: float = 600.0) -> Step:
    """A step of your own: *run* in the new release on each host, taken back by *undo*.

    ``plan.before("publish", command("bin/warm-cache"))``
    """
    taken = replace(command(undo), name=f"undo {run}") if undo else None
    says = f"run `{run}`"
    return Step(run.split()[0], {"commands": (run,)}, says, template="commands", timeout_s=timeout_s, undo=taken)


def filled(step: Step, switch: Switch) -> Step:
    """A `command` with the release that it runs in."""
    if step.template != "commands" or "root" in step.values:
        return step
    whole = commands(step.name, tuple(step.values["commands"]), switch, phase=step.phase)  # type: ignore[arg-type]
    return replace(step, values=whole.values, undo=filled(step.undo, switch) if step.undo else None)
