"""Four deploys of a site, beside a script of rsync and beside Capistrano, near and far away."""

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.distance import Distance
from bench.site import Site
from bench.subjects import Capistrano, Ours, Project, Script, Subject
from tests.sshd import Sshd

ROUNDS = 3
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
        for _ in range(rounds):
            shutil.rmtree(shop.above, ignore_errors=True)
            subjects: list[Subject] = [Ours(shop), Script(shop), *([Capistrano(shop)] if cap else [])]
            _each(subjects, Subject.ready)
            turns(subjects, "first", lambda s: s.deploy(), times)
            site.change()
            _each(subjects, Subject.changed)
            turns(subjects, "20 changed", lambda s: s.deploy(), times)
            turns(subjects, "nothing changed", lambda s: s.deploy(), times)
            turns(subjects, "nothing, --force", lambda s: s.deploy(force=True), times)
            turns(subjects, "rollback", lambda s: s.rollback(), times)
    return times


def _each(subjects: list[Subject], do: Callable[[Subject], None]) -> None:
    for subject in subjects:
        getattr(subject, do.__name__)()


def median(times: Times, what: str, who: str) -> float:
    """In seconds."""
    return statistics.median(times[what, who])
