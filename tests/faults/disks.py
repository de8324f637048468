"""Disks that are full, out of inodes or read-only from a step on; the host's, and the controller's."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path

from tests.conftest import require
from tests.faults.fault import Fault, expected
from tests.faults.invariants import mended
from tests.faults.scene import Scene

SMALL = "size=12m,nr_inodes=3000"
FILLER = "filler"


@contextmanager
def _small(where: str, home: Path) -> Iterator[None]:
    """The directory *where* of *home* is a file system of its own, and a small one."""
    require("" if os.geteuid() == 0 else "no mount: run as root")
    directory = home / where
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", SMALL, "tmpfs", str(directory)], check=True)
    try:
        yield
    finally:
        while subprocess.run(["umount", "-l", str(directory)], stderr=subprocess.DEVNULL).returncode == 0:
            continue


def fill(root: Path) -> None:
    """No byte is left."""
    with (root / FILLER).open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            with suppress(OSError):
                while True:
                    file.write(b"x" * size)


def _crowd(root: Path) -> None:
    """No inode is left."""
    (root / FILLER).mkdir()
    with suppress(OSError):
        for number in count():
            (root / FILLER / str(number)).touch()


def empty(root: Path) -> None:
    subprocess.run(["rm", "-rf", str(root / FILLER)], check=True)


def _full(fill: Callable[[Path], None], scene: Scene) -> str:
    """What cannot be written is told; to go back takes no room."""
    scene.reach()
    fill(scene.site.root)
    scene.stage.gate.admit()
    code = scene.end().code
    # Of several hosts the others may have been switched by the time at which it cannot.
    back = (12,) if scene.verb.beside else ()
    assert code in (0, 10, *back, *expected(scene)), scene.client.events[-4:]
    return f"{mended(scene, confirmed=None, heals=partial(empty, scene.site.root))} {code}"


def _read_only(scene: Scene) -> str:
    """Nothing can be done, nor taken back, until somebody mends it: then whoever comes next does."""
    scene.reach()
    root = str(scene.site.root)
    # Not a remount of the file system itself, which the open lock forbids.
    subprocess.run(["mount", "--bind", root, root], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", root], check=True)
    scene.stage.gate.admit()
    code = scene.end().code
    assert code in (0, 10, 13, 14, *expected(scene)), scene.client.events[-4:]
    heals = partial(subprocess.run, ["mount", "-o", "remount,bind,rw", root], check=True)
    return f"{mended(scene, confirmed=None, heals=heals, waits=True)} {code}"


def _controller_full(scene: Scene) -> str:
    """What the controller would keep for the next time, it does without."""
    home = scene.site.home
    scene.site.environment["TMPDIR"] = str(home)
    scene.reach()
    fill(home)
    scene.stage.gate.admit()
    code = scene.end().code
    assert code in (0, 10, *expected(scene)), scene.client.events[-4:]
    return f"{mended(scene, confirmed=None, heals=partial(empty, home))} {code}"


_HOST, _CONTROLLER = partial(_small, "srv"), partial(_small, "home")
DISKS = (
    Fault("disk-full", "no byte is left on the host from the step on", partial(_full, fill), place=_HOST),
    Fault("inodes-full", "no inode is left on the host from the step on", partial(_full, _crowd), place=_HOST),
    Fault("read-only", "the root is read-only from the step on", _read_only, place=_HOST),
    Fault("controller-full", "no byte is left on the controller from the step on", _controller_full, place=_CONTROLLER),
)
