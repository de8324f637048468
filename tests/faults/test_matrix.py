"""Every step of every verb meets faults."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from tests.faults.faults import FAULTS, met_by
from tests.faults.matrix import SEED, Case, Row, short, whole
from tests.faults.scene import Scene
from tests.faults.stage import Stage
from tests.faults.verbs import VERBS, Verb
from tests.reader import Reader

pytestmark = pytest.mark.journey


def test_the_short_form_leaves_no_step_and_no_fault_out() -> None:
    """A new step, and a new fault, is met without anybody remembering."""
    every = {(row.verb.name, row.step) for case in whole() for row in case.rows if not row.verb.beside}
    for seed in (SEED, 2, 3):
        rows = [row for case in short(seed) for row in case.rows if not row.verb.beside]
        assert {(row.verb.name, row.step) for row in rows} == every
        assert min(Counter(row.fault.name for row in rows)[fault.name] for fault in FAULTS) > 1


def test_the_short_form_leaves_no_fault_of_one_host_of_three_out() -> None:
    """And where it is met at one step only, that step meets one; with time every step meets every fault."""
    seen, beside = set[str](), [verb for verb in VERBS if verb.beside]
    for seed in range(300):
        rows = [row for case in short(seed) for row in case.rows if row.verb.beside]
        for verb in beside:
            mine = [row.fault for row in rows if row.verb is verb]
            assert len(set(mine)) == len(mine) == min(len(met_by(verb)), len(verb.met))
        seen |= {str(row) for row in rows}
    assert seen == {str(row) for case in whole() for row in case.rows if row.verb.beside}


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_the_steps_that_are_interrupted_are_those_that_run(stage: Stage, verb: Verb) -> None:
    """So that a new step is covered without anybody remembering."""
    assert tuple(stage.calls(verb)) == verb.steps


def test_steps_meet_faults(
    stage: Stage, tmp_path: Path, case: Case, seed: int, record_property: Callable[[str, object], None]
) -> None:
    """P1, P2, P5, P12: whatever happens, old or proven new is live, and the next deploy goes well."""
    rows, sites = list(case.rows), count()
    while rows:
        for row, seen in _met(stage, tmp_path / str(next(sites)), rows, str(seed)):
            record_property("fault", {"row": str(row), "verb": row.verb.name, "step": row.step} | seen)


def _met(stage: Stage, home: Path, rows: list[Row], seed: str) -> Iterator[tuple[Row, dict[str, str]]]:
    """Let one site meet the first of *rows*, and the next as long as the old release stays live there."""
    home.mkdir()
    with ExitStack() as places:
        for place in dict.fromkeys(row.fault.place for row in rows):
            places.enter_context(place(home))
        site = places.enter_context(stage.site(home, rows[0].verb))
        watch = places.enter_context(Reader(site.root))
        seen = "old"
        while rows and seen.startswith("old"):
            row = rows.pop(0)
            scene = Scene(stage, site, row.verb, row.step, seed, more=row.fault.more, last=not rows or not row.verb.new)
            seen = row.fault.inflict(scene)
            yield row, {"fault": row.fault.name, "seen": seen}
            if scene.last:
                break
    assert watch.wrong == []
