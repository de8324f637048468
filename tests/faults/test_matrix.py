"""Every step of every verb meets faults."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.faults import FAULTS
from tests.faults.matrix import SEED, Row, short, whole
from tests.faults.scene import Scene
from tests.faults.stage import Stage
from tests.faults.verbs import VERBS, Verb
from tests.faults.watch import Watch

pytestmark = pytest.mark.journey


def test_the_short_form_leaves_no_step_and_no_fault_out() -> None:
    """A new step, and a new fault, is met without anybody remembering."""
    for seed in (SEED, 2, 3):
        rows = short(seed)
        assert {(row.verb.name, row.step) for row in rows} == {(row.verb.name, row.step) for row in whole()}
        assert min(Counter(row.fault.name for row in rows)[fault.name] for fault in FAULTS) > 1


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_the_steps_that_are_interrupted_are_those_that_run(stage: Stage, verb: Verb) -> None:
    """So that a new step is covered without anybody remembering."""
    assert tuple(stage.calls(verb)) == verb.steps


def test_a_step_meets_a_fault(
    stage: Stage, tmp_path: Path, row: Row, seed: int, record_property: Callable[[str, object], None]
) -> None:
    """P1, P2, P5, P12: whatever happens, old or proven new is live, and the next deploy goes well."""
    fault = row.fault
    with fault.place(tmp_path), stage.site(tmp_path, row.verb, more=fault.more) as site, Watch(site.root) as watch:
        seen = fault.inflict(Scene(stage, site, row.verb, row.step, str(seed)))
    assert watch.wrong == []
    record_property("fault", {"verb": row.verb.name, "step": row.step, "fault": fault.name, "seen": seen})
