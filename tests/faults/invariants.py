"""What must hold after any fault; the host is given nothing but time."""

from collections.abc import Callable

from releases.plan import Phase
from tests.app import until
from tests.faults.scene import Scene
from tests.faults.site import Site
from tests.faults.stage import Stage
from tests.faults.verbs import OLD

KNOWN = {
    "app", "boot", "boot.lock", "journal.jsonl", "manifests", "lock", "lock.info", "armed", "confirmed", "pins",
    "rehearsal.log",
}  # fmt: skip


def settled(stage: Stage, site: Site) -> bool:
    """Has each host done all it does by itself?"""
    armed = [name for each in site.each for name in each.inside("armed") if not name.endswith(".new")]
    return not locked(site) and not armed and not stage.left(site)


def locked(site: Site) -> bool:
    """Does anybody hold the lock of any host?"""
    return any(each.locked for each in site.each)


def _nothing() -> object:
    return None


def mended(
    scene: Scene,
    *,
    confirmed: bool | None,
    live: str = OLD,
    heals: Callable[[], object] = _nothing,
    waits: bool = False,
) -> str:
    """Let the hosts see to themselves, and hold them to the promises; returns the release that is live, in a word.

    *confirmed*: had the switch been, on the host that met the fault? None: ask the journal. *live* is what must be
    live otherwise. *heals* is what a person does before the next deploy, without which the switch itself *waits*, or
    only what is written of it.
    """
    stage, site = scene.stage, scene.site
    _let_alone(stage, site, settles=heals is _nothing and scene.verb.before != "armed")
    if confirmed is None:
        confirmed = scene.confirmed_on(site)
    if not site.inside("armed") or not (waits or scene.verb.before == "armed"):
        assert site.live == (scene.verb.new if confirmed else live), (confirmed, site.journal[-6:])
        assert site.runs == str((site.root / "current").resolve())
    seen = "new" if confirmed else "waits" if site.live != live else "old" if live == OLD else "other"
    if site.others:
        seen = together(scene, seen)
    site.address = stage.plain.address
    site.configure(scene.verb.more, settle_s=0.05)
    truthful(site, read_only=waits)
    heals()
    if scene.last or seen != "old":
        again(site, another=scene.verb.new in {each.live for each in site.each})
        tidy(stage, site)
    return seen


def _let_alone(stage: Stage, site: Site, *, settles: bool) -> None:
    """Wait for all that the host does by itself; where it *settles* not, whoever comes next does it.

    It does not where who would go back by himself has died, too, or cannot say so.
    """
    stage.gate.open()
    until(lambda: not locked(site), what="the lock")
    until(
        lambda: settled(stage, site) if settles else not stage.left(site),
        what=lambda: f"the end of the dead man's switch ({site.inside('armed')}, {stage.left(site)})",
    )


def together(scene: Scene, seen: str) -> str:
    """The others are as one, and as the host that met the fault, of which is known what was *seen*.

    Unless it could not do its part any more while the others were confirmed, or cannot yet: then whoever has asked for
    it has been told.
    """
    others = scene.site.others
    for other in others:
        assert other.live == (scene.verb.new if scene.confirmed_on(other) else OLD), (scene.number, other.journal[-6:])
        assert other.runs == str((other.root / "current").resolve())
        assert other.inside("armed") == []
    (word,) = {"new" if scene.confirmed_on(other) else "old" for other in others}
    told = scene.client.process.returncode
    if word == seen:
        return seen
    assert seen == "waits" or scene.verb.phase(scene.step) is Phase.CONFIRM, (word, seen)
    assert told in (-9, 13, 14), (told, word, seen)
    return f"{seen}, others {word}"


def truthful(site: Site, *, read_only: bool = False) -> None:
    """`status` names what is live, and what became of the last deploy."""
    result, differ = site.run("status", "--host", site.named, "--json"), len({each.live for each in site.each}) > 1
    assert result.code == (13 if differ else 0), result
    rows = next(e["hosts"] for e in result.events if e["event"] == "answer")
    for each, row in zip(site.each, rows, strict=True):
        if row["note"].startswith("behind: "):
            assert differ
            row["note"] = row["note"].partition("; ")[2]
        if read_only and each is site:
            own, _, row["note"] = row["note"].partition("; ")
            assert "may not write" in own
        _true(each, row)


def _true(site: Site, row: dict[str, str]) -> None:
    """What it says of one host."""
    assert row["live"] == (site.root / "current").resolve().name
    number, said = site.last["deploy"], site.events(site.last["deploy"])
    named = f"{site.last['verb']} {number}"
    if [name for name in site.inside("armed") if not name.endswith(".new")]:
        assert f"the switch of deploy {number} waits to be settled" in row["note"], row
    elif "reverted" in said:
        assert row["note"] == f"{named} was taken back", row
    elif "failed" in said:
        assert row["note"].startswith(f"{named} failed: "), row
    elif "live" not in said and str(number) not in site.inside("confirmed"):
        assert row["note"].startswith(f"{named} of "), row
        assert "was interrupted" in row["note"], row
    elif site.inside("confirmed"):
        assert row["note"] == f"confirmed, and what was replaced was not told to stop yet: {number}", row
    else:
        assert row["note"] == "", row


def again(site: Site, *, another: bool) -> None:
    """The next plain deploy succeeds; after one that went live anywhere it is *another*."""
    if another:
        site.write("v5")
    result = site.run("deploy", "--host", site.named)
    assert result.code == 0, result.err
    assert {each.live for each in site.each} == {"v5" if another else "v4"}


def tidy(stage: Stage, site: Site) -> None:
    """Nothing is left that the journal does not know."""
    for each in site.each:
        swept(each)
    until(lambda: not stage.left(site), what=f"the end of {stage.left(site)}")


def swept(site: Site) -> None:
    """No file is left on one host."""
    known = {event.get("release") for event in site.journal}
    manifests = {name.removesuffix(".gz") for name in site.inside("manifests")}
    assert set(site.releases) == manifests
    assert manifests <= known
    assert list(site.root.glob("current.*")) == []
    assert (site.inside("armed"), site.inside("confirmed")) == ([], [])
    assert set(site.inside(".")) <= KNOWN
    assert {path.name for path in site.root.iterdir()} == {"current", "releases", "shared", ".switchover"}
