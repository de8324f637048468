"""What must hold after any fault; the host is given nothing but time."""

from collections.abc import Callable

from tests.app import until
from tests.faults.scene import Scene
from tests.faults.site import Site
from tests.faults.stage import Stage
from tests.faults.verbs import OLD

KNOWN = {
    "app", "boot", "journal.jsonl", "manifests", "lock", "lock.info", "armed", "confirmed", "pins", "rehearsal.log",
}  # fmt: skip


def settled(stage: Stage, site: Site) -> bool:
    """Has the host done all it does by itself?"""
    armed = [name for name in site.inside("armed") if not name.endswith(".new")]
    return not site.locked and not armed and not stage.left(site)


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
    """Let the host see to itself, and hold it to the promises; returns the release that is live, in a word.

    *confirmed*: had the switch been? None: ask the journal. *live* is what must be live otherwise. *heals* is what a
    person does before the next deploy, without which the switch itself *waits*, or only what is written of it.
    """
    stage, site, alone = scene.stage, scene.site, heals is _nothing and scene.verb.before != "armed"
    stage.gate.open()
    until(lambda: not site.locked, what="the lock")
    # Where who would go back by himself has died, too, or cannot say so, whoever comes next does it.
    until(lambda: settled(stage, site) if alone else not stage.left(site), what="the end of the dead man's switch")
    if confirmed is None:
        confirmed = "live" in scene.said or str(scene.number) in site.inside("confirmed")
    if not site.inside("armed") or not (waits or scene.verb.before == "armed"):
        assert site.live == (scene.verb.new if confirmed else live), (confirmed, site.journal[-6:])
        assert site.runs == str((site.root / "current").resolve())
    seen = "new" if confirmed else "waits" if site.live != live else "old" if live == OLD else "other"
    site.address = stage.plain.address
    site.configure(scene.verb.more, settle_s=0.05)
    truthful(site, read_only=waits)
    heals()
    if scene.last or seen != "old":
        again(site, another=confirmed)
        tidy(stage, site)
    return seen


def truthful(site: Site, *, read_only: bool = False) -> None:
    """`status` names what is live, and what became of the last deploy."""
    result = site.run("status", "--host", "prod", "--json")
    assert result.code == 0, result.err
    (row,) = next(e["hosts"] for e in result.events if e["event"] == "answer")
    if read_only:
        own, _, row["note"] = row["note"].partition("; ")
        assert "may not write" in own
    assert row["live"] == (site.root / "current").resolve().name
    number, said = site.last["deploy"], site.events(site.last["deploy"])
    named = f"{site.last['verb']} {number}"
    if site.inside("armed"):
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
    """The next plain deploy succeeds; after a whole one it is *another*."""
    if another:
        site.write("v5")
    result = site.run("deploy", "--host", "prod")
    assert result.code == 0, result.err
    assert site.live == ("v5" if another else "v4")


def tidy(stage: Stage, site: Site) -> None:
    """Nothing is left that the journal does not know."""
    known = {event.get("release") for event in site.journal}
    manifests = {name.removesuffix(".gz") for name in site.inside("manifests")}
    assert set(site.releases) == manifests
    assert manifests <= known
    assert list(site.root.glob("current.*")) == []
    assert (site.inside("armed"), site.inside("confirmed")) == ([], [])
    assert set(site.inside(".")) <= KNOWN
    assert {path.name for path in site.root.iterdir()} == {"current", "releases", "shared", ".switchover"}
    until(lambda: not stage.left(site), what=f"the end of {stage.left(site)}")
