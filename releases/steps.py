"""The steps we know; each is idempotent, and says how it is taken back."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from .answer import Answer
from .config import Config
from .layout import Layout, Release
from .plan import Phase, Step, Verdict, copied
from .processes.kind import Kind, Switch

HASHING_S = 1800.0  # what every byte of a release may take to be read
DIFFERS = 65  # what the scripts end with that compare


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


def tell(layout: Layout, untold: tuple[str, ...]) -> Step:
    """Write down a part of what other hosts know of the database, where that is too much for `begin`."""
    values = {"root": layout.root, "untold": untold}
    return Step("tell", values, "write down what other hosts know of the database", Phase.STAGE, template="share")


def share(layout: Layout, leader: str) -> Step:
    """Write down what *leader* has just done to the database; the lines are filled in when it is known."""
    values = {"root": layout.root, "leader": leader, "untold": ()}
    return Step("share", values, f"write down which migrations ran on {leader}", Phase.REHEARSE)


def end(layout: Layout, event: str, phase: Phase = Phase.AFTER) -> Step:
    """Write down how it ended, if it did not go live."""
    return Step("end", {"root": layout.root, "ended": event}, "write its end into the journal", phase)


def stage(layout: Layout, release: Release, base: Release | None) -> Step:
    """Make room: what dead deploys left half made goes. Says so when *base*, which files are linked from, has gaps."""
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


def check(layout: Layout, release: Release, digest: str, *, copies: bool, linked: bool = False) -> Step:
    """Compare every digest and mode with the manifest; *copies*: share no file with another release, as `copied`.

    *linked*: what differs may come from the release that files were linked from; then all of it is sent instead.
    """
    values = {"root": layout.root, "release": release, "manifest": digest, "copies": False, "arriving": False}
    says, judge = "compare every file with the manifest", partial(_arrived if linked else whole, str(release))
    step = Step("check", values, says, Phase.STAGE, judge=judge, timeout_s=HASHING_S, finds=DIFFERS)
    return copied(step) if copies else step


def _arrived(release: str, answer: Answer) -> Verdict:
    return replace(whole(release, answer), again=frozenset({"stage", "send"}))


def verify(layout: Layout, release: Release, phase: Phase = Phase.STAGE) -> Step:
    """Compare a complete release with its manifest."""
    values = {"root": layout.root, "release": release}
    says, judge = f"compare {release} with its manifest", partial(whole, str(release))
    return Step("verify", values, says, phase, judge=judge, timeout_s=HASHING_S, finds=DIFFERS)


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
    return Step("seal", values, says, Phase.STAGE, judge=_unchanged, timeout_s=HASHING_S, finds=DIFFERS)


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
