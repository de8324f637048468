"""publish and unpublish: one rename."""

import os
import threading

from releases import steps
from releases.scripts import render
from tests.scripts.running import A, B, C, Here


def published(here: Here) -> str:
    """What ``current`` says; it must lead to a release."""
    assert (here.root / "current" / "version").is_file()
    return here.live


def test_a_first_release_is_published(here: Here) -> None:
    """A relative link, so that the root may be mounted elsewhere."""
    here.release(A)
    here.publish(A)
    assert published(here) == f"releases/{A}"


def test_publishing_again_changes_nothing(here: Here) -> None:
    """The link is not even made anew."""
    here.release(A)
    here.publish(A)
    before = (here.root / "current").lstat().st_ino
    here.publish(A)
    assert (here.root / "current").lstat().st_ino == before


def test_links_that_a_dead_deploy_left_publish_nothing(here: Here) -> None:
    """Neither the stale link of this very switch nor that of another; both are gone afterwards."""
    for release in (A, B):
        here.release(release)
    here.publish(A)
    (here.root / f"current.{B}").symlink_to(f"releases/{A}")
    (here.root / f"current.{C}").symlink_to(f"releases/{A}")
    here.publish(B, A)
    assert published(here) == f"releases/{B}"
    assert sorted(path.name for path in here.root.glob("current*")) == ["current"]
    assert not (here.root / "releases" / A.name / f"current.{B}").exists()


def test_a_release_that_is_not_there_is_not_published(here: Here) -> None:
    """66, and what was live stays."""
    here.release(A)
    here.publish(A)
    ran = here.run(steps.publish(here.layout, B, A))
    assert (ran.code, here.live) == (66, f"releases/{A}")


def test_a_directory_named_current_is_left_alone(here: Here) -> None:
    """73: it is somebody's, and a rename cannot replace it; no link is left in it or beside it."""
    here.release(A)
    (here.root / "current" / "site").mkdir(parents=True)
    assert here.run(steps.publish(here.layout, A, None)).code == 73
    assert sorted(path.name for path in here.root.glob("current*")) == ["current"]
    assert os.listdir(here.root / "current") == ["site"]


def test_current_is_never_missing_while_it_is_swapped(here: Here) -> None:
    """P1: readers in a loop meet the old release or the new one, and nothing else, over 200 swaps."""
    for release in (A, B):
        here.release(release)
    here.publish(A)
    seen, done = set[str](), threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                seen.add((here.root / "current" / "version").read_text())
            except OSError as error:
                seen.add(str(error))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    # One process for all swaps: what is on trial is the rename, not the start of a shell.
    swap = [steps.publish(here.layout, new, old) for new, old in ((B, A), (A, B))]
    scripts = "\n".join(f"( {render(step)}\n)" for step in swap)
    ran = here.run(f"i=0; while [ $i -lt 100 ]; do i=$((i + 1))\n{scripts}\ndone")
    done.set()
    for reader in readers:
        reader.join()
    assert (ran.code, ran.err) == (0, "")
    assert seen == {A.name, B.name}


def test_unpublish_takes_the_first_release_back(here: Here) -> None:
    """With what a switch may have left beside it; done twice it changes nothing."""
    here.release(A)
    here.publish(A)
    (here.root / f"current.{A}").symlink_to(f"releases/{A}")
    (here.root / "current.txt").write_text("mine")
    for _ in range(2):
        assert here.run(here.step("unpublish")).code == 0
        assert [path.name for path in here.root.glob("current*")] == ["current.txt"]
    assert (here.root / "releases" / A.name / "version").exists()
