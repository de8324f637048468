"""Which steps go to a host in one line, and when that line is the last."""

from dataclasses import replace

import pytest

from releases.deploy import Shipment, deploy
from releases.grouping import Grouping, together
from releases.plan import Phase, Plan, Step
from tests.hosts import ANA, A, B, config, host, live, manifest


def _cut(plan: Plan) -> list[str]:
    return [
        " ".join(step.label for step in group)
        for phase in Phase
        for group in together(tuple(step for step in plan.steps["web1"] if step.phase is phase))
    ]


def _deploy(*names: str, **settings: object) -> Plan:
    """A deploy of a build of which the host has half."""
    hosts = [
        host(A, complete=[A], journal=[live(1, A)], settings=config(**settings), name=name)
        for name in names or ("web1",)
    ]
    bases = {each.name: manifest("a", "b") for each in hosts}
    return deploy(tuple(hosts), Shipment(B, manifest("a"), bases=bases), ANA)


def _later(plan: Plan, phase: Phase, at: int) -> str:
    grouping = Grouping(plan)
    lines = grouping.lines("web1", phase)
    at %= len(lines)
    return " ".join(step.label for step in (*lines[at], *grouping.later("web1", phase, at)))


def test_steps_are_sent_together_unless_we_have_to_decide_in_between() -> None:
    """A payload, a command of the user, an answer that is judged here: each is waited for."""
    assert _cut(_deploy()) == [
        "begin stage", "send", "check seal", "arm publish prove settled", "confirm", "finish",
    ]  # fmt: skip
    plan = _deploy(hooks={"after_switch": ["ls"]}, health={"url": "http://127.0.0.1/"})
    assert _cut(plan)[3:] == ["arm publish", "after_switch", "prove", "settled", "confirm", "finish"]


def test_an_only_host_is_sent_its_switch_with_what_comes_before() -> None:
    """It does it only if all of that went well; nothing else waits for that to be heard."""
    whole = "check seal arm publish prove settled"
    assert _later(_deploy(), Phase.STAGE, -1) == whole
    assert _later(_deploy(), Phase.STAGE, 1) == f"send {whole}", "behind the stream, which the check waits for"
    assert _later(_deploy(), Phase.STAGE, 0) == "begin stage"


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ("web1", "web2")),
        ({"hooks": {"local": {"before_switch": ["bin/ask"]}}}, ("web1",)),
        ({"migrations": {"kind": "command", "pending": "bin/pending", "expand": "bin/expand"}}, ("web1",)),
    ],
    ids=["several hosts", "a command of ours before the switch", "migrations"],
)
def test_no_host_is_sent_its_switch_before_what_comes_first_is_known(
    settings: dict[str, object], names: tuple[str, ...]
) -> None:
    """Of several all must be staged; a command here and a migration decide, too."""
    assert _later(_deploy(*names, **settings), Phase.STAGE, -1) == "check seal"


def test_what_follows_the_confirm_of_an_only_host_is_sent_with_it() -> None:
    """Up to the first step that is the team's own; of several hosts none is told to stop before all are confirmed."""
    names = ("own", "finish", "prune", "own", "prune")
    steps = tuple(Step(name, {}, "", Phase.AFTER) for name in names)
    confirm = Step("confirm", {}, "", Phase.CONFIRM)
    told = replace(Step("retire", {}, "", Phase.AFTER), process="web")
    for hosts, planned, sent in (
        (("web1",), steps[1:], "confirm finish prune"),
        (("web1",), steps, "confirm finish"),
        (("web1", "web2"), steps[1:], "confirm"),
    ):
        plan = Plan("deploy", 1, B, A, dict.fromkeys(hosts, (confirm, told, *planned)))
        assert _later(plan, Phase.CONFIRM, 0) == sent


def test_a_step_of_the_team_that_is_there_twice_is_two_steps() -> None:
    """Neither is prune sent before the confirm, nor the lock let go before the second."""
    own, confirm = Step("bin/x", {"run": 1}, "", Phase.CONFIRM), Step("confirm", {}, "", Phase.CONFIRM)
    finish, late = Step("finish", {}, "", Phase.AFTER), Step("bin/x", {"run": 2}, "", Phase.AFTER)
    plan = Plan("deploy", 1, B, A, {"web1": (own, confirm, own, finish)})
    assert [_later(plan, Phase.CONFIRM, at) for at in range(3)] == ["bin/x", "confirm", "bin/x finish"]
    plan = Plan("deploy", 1, B, A, {"web1": (own, finish, late)})
    assert not Grouping(plan).ends_with("web1", (own, finish))
    assert Grouping(plan).ends_with("web1", (own, finish, late))


def test_the_lock_is_let_go_with_the_last_step_only() -> None:
    """And not where the team has something to do after it, nor where a step may have to be asked again."""

    def ends(plan: Plan, *labels: str) -> bool:
        steps = tuple(step for step in plan.steps["web1"] if step.label in labels)
        return Grouping(plan).ends_with("web1", steps)

    assert ends(_deploy(), "confirm", "finish")
    assert not ends(_deploy(), "confirm")
    assert not ends(_deploy(), "arm", "publish", "prove", "settled")
    assert not ends(_deploy(hooks={"local": {"after_switch": ["bin/tell"]}}), "confirm", "finish")
    assert not ends(_deploy("web1", "web2"), "confirm", "finish")
    patient = tuple(replace(step, patience_s=9.0) for step in _deploy().steps["web1"])
    assert not ends(Plan("deploy", 2, B, A, {"web1": patient}), "confirm", "finish")
