"""Four deploys of a site, beside a script of rsync and beside Capistrano, near and far away."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.distance import Distance
from bench.figures import Figure, median, spread, table, targets
from bench.site import Site
from bench.subjects import Capistrano, Ours, Project, Script, Subject
from tests.sshd import Sshd

ROUNDS = 3
FAR_S = 0.05
TARGETS = {"20 changed": 0.8, "nothing changed": 0.5, "nothing, --force": 0.7, "first": 1.0, "rollback": 1.5}
Times = dict[tuple[str, str], list[float]]  # what was done, by whom


@contextmanager
def project(round_trip_s: float, *, files: int = 2_000, size_bytes: int = 10_000) -> Iterator[tuple[Project, Site]]:
    """A site here, and a host so far away."""
    with tempfile.TemporaryDirectory() as name, Sshd() as sshd, Distance(sshd, round_trip_s) as line:
        folder = Path(name) / "shop"
        site = Site(folder, files, size_bytes)
        yield Project(folder, Path(name) / "host", sshd, line.port), site


def turns(subjects: list[Subject], what: str, do: Callable[[Subject], None], times: Times) -> None:
    """Each of them once."""
    for subject in subjects:
        began = time.monotonic()
        do(subject)
        took = time.monotonic() - began
        times.setdefault((what, subject.name), []).append(took)
        print(f"  {what:<18} {subject.name:<14} {took:6.2f} s", flush=True)


def measured(round_trip_s: float, rounds: int = ROUNDS, *, cap: bool = True) -> Times:
    """All of it, *rounds* times, each time on an empty host."""
    times: Times = {}
    with project(round_trip_s) as (shop, site):
        for number in range(rounds):
            print(f" {round_trip_s * 1000:g} ms, round {number + 1}", flush=True)
            shutil.rmtree(shop.above, ignore_errors=True)
            subjects: list[Subject] = [Ours(shop), Script(shop), *([Capistrano(shop)] if cap else [])]
            for subject in subjects:
                subject.ready()
            turns(subjects, "first", lambda s: s.deploy(), times)
            site.change()
            for subject in subjects:
                subject.changed()
            turns(subjects, "20 changed", lambda s: s.deploy(), times)
            turns(subjects, "nothing changed", lambda s: s.deploy(), times)
            turns(subjects, "nothing, --force", lambda s: s.deploy(force=True), times)
            turns(subjects, "rollback", lambda s: s.rollback(), times)
    return times


def section(rounds: int = ROUNDS) -> str:
    """The ratios that are promised, and every figure that they come from."""
    near, far = measured(0.0, rounds), measured(FAR_S, rounds)
    figures = [
        Figure(
            f"{what}, 50 ms, × rsync script",
            target,
            median(far[what, "switchover"]) / median(far[what, "rsync script"]),
            about=f"{median(far[what, 'switchover']):.2f} s / {median(far[what, 'rsync script']):.2f} s",
        )
        for what, target in TARGETS.items()
    ]
    names = tuple(dict.fromkeys(name for _, name in far))
    rows = [
        (what, label, *(spread(times[what, name]) for name in names))
        for what in TARGETS
        for label, times in (("0 ms", near), ("50 ms", far))
    ]
    return f"{targets(figures)}\n\nSeconds, median [least..most] of {rounds} rounds:\n\n" + table(
        ("what", "round trip", *names), rows
    )
