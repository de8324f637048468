"""A deploy is a value before it is an action."""

import pytest

from releases import steps
from releases.errors import UsageError
from releases.plan import Phase, Plan, Step
from tests.hosts import A, B


def step(name: str, phase: Phase = Phase.SWITCH, undo: str = "") -> Step:
    return Step(name, {}, "", phase, undo=Step(undo, {}, "") if undo else None)


def plan(*each: Step) -> Plan:
    return Plan("deploy", 1, B, A, {"web1": each, "web2": each})


def names(edited: Plan, host: str = "web1") -> list[str]:
    return [s.name for s in edited.steps[host]]


def test_a_step_before_another_is_carried_in_its_phase_on_every_host() -> None:
    """So a failure of it means the same, and is taken back the same way."""
    edited = plan(step("stage", Phase.STAGE), step("publish")).before("publish", steps.command("bin/warm-cache"))
    assert names(edited) == names(edited, "web2") == ["stage", "bin/warm-cache", "publish"]
    assert edited.steps["web1"][1].phase is Phase.SWITCH


def test_a_step_after_another_follows_it() -> None:
    """``plan.after``."""
    edited = plan(step("seal", Phase.STAGE), step("publish")).after("seal", steps.command("bin/index"))
    assert names(edited) == ["seal", "bin/index", "publish"]
    assert edited.steps["web1"][1].phase is Phase.STAGE


def test_a_step_can_be_left_out() -> None:
    """``plan.without``."""
    assert names(plan(step("publish"), step("prune", Phase.AFTER)).without("prune")) == ["publish"]


def test_an_unknown_step_is_refused_with_those_there_are() -> None:
    """A mistyped name must not be ignored."""
    with pytest.raises(UsageError) as caught:
        plan(step("publish")).before("publisch", steps.command("x"))
    assert caught.value.hint == "its steps: publish"


@pytest.mark.parametrize(
    ("verb", "name", "there"),
    [
        ("already_live", "publish", ["prove"]),
        ("already_live", "seal", ["prove"]),
        ("deploy", "seal", ["verify", "publish"]),
        ("rollback", "prepare", ["verify", "publish"]),
        ("deploy", "prune", ["stage", "publish"]),
    ],
)
def test_a_step_of_the_team_is_left_out_with_the_step_that_is_not_needed_now(
    verb: str, name: str, there: list[str]
) -> None:
    """The same tasks.py deploys, deploys again, deploys by name and goes back."""
    short = Plan(verb, 1, B, A, {"web1": tuple(map(step, there))})
    own = short.before(name, steps.command("bin/warm")).after("bin/warm", steps.command("bin/told"))
    assert names(own.without("prune").without("bin/told")) == there


@pytest.mark.parametrize("name", ["drain", "serving"])
def test_a_step_of_the_team_beside_a_drain_is_left_out_where_nobody_is_drained(name: str) -> None:
    """Whether somebody is depends on who is there to serve meanwhile."""
    assert names(plan(step("stage"), step("publish")).before(name, steps.command("bin/told"))) == ["stage", "publish"]


@pytest.mark.parametrize(("there", "name"), [(["stage", "publish"], "prepare"), (["verify", "publish"], "start")])
def test_a_step_that_the_application_never_has_is_refused(there: list[str], name: str) -> None:
    """Or the step of the team would never run, and nobody would know."""
    with pytest.raises(UsageError):
        Plan("deploy", 1, B, A, {"web1": tuple(map(step, there))}).before(name, steps.command("bin/warm"))


def test_taking_back_puts_the_link_back_first_then_what_was_touched_last() -> None:
    """What reloads reads the link."""
    undone = plan(
        step("warm", undo="cool"),
        step("start", undo="stop"),
        step("publish", undo="republish"),
        step("hup", undo="hup"),
    ).takes_back("web1")
    assert [s.name for s in undone] == ["republish", "hup", "stop", "cool"]


def test_what_was_done_before_the_switch_is_not_taken_back() -> None:
    """A staged release harms nobody."""
    assert plan(step("stage", Phase.STAGE, undo="unstage")).takes_back("web1") == ()


def test_a_plan_reads_as_one_line_per_step() -> None:
    """Printing the plan is the dry run."""
    shown = str(Plan("deploy", 1, B, A, {"web1": (Step("publish", {}, "current -> releases/x"),)}, ("note",)))
    assert shown.splitlines() == [
        f"deploy {B} (now live: {A})",
        "note",
        "web1",
        "  publish  current -> releases/x",
    ]


def test_a_plan_that_switches_nothing_says_what_is_live() -> None:
    """In words."""
    assert str(Plan("already_live", 0, B, B, {"web1": (step("prove"),)})).startswith(f"already live (live: {B})\n")
    assert str(Plan("prune", 0, B, B, {"web1": (step("prune"),)})).startswith(f"prune (live: {B})\n")
