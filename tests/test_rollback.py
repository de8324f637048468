"""A rollback is the same switch, with the same proof, and knows the schema."""

import json

import pytest

from releases.deploy import Shipment
from releases.errors import Refused, UsageError
from releases.rollback import rollback
from releases.surveyed import Surveyed
from tests.hosts import ANA, A, B, C, D, config, host, live, manifest


def migrated(release: object, phase: str, *names: str, left: tuple[str, ...] = ()) -> str:
    return json.dumps({"event": "migrated", "release": str(release), "phase": phase, "names": names, "left": left})


def test_it_verifies_its_target_before_it_switches() -> None:
    """What was damaged since must not go live."""
    plan = rollback((host(B, complete=[A, B], journal=[live(1, A), live(2, B)]),), ANA)
    assert [s.name for s in plan.steps["web1"]][:2] == ["begin", "verify"]
    assert (plan.release, plan.previous) == (A, B)


@pytest.mark.parametrize(
    ("to", "complete", "words"),
    [
        (None, [B], "no proven release before"),
        (str(B), [A, B], "is live already"),
        (str(C), [A, B], "no complete release"),
        (str(C), [A, B, C], "was never live and proven"),
    ],
)
def test_it_goes_only_where_it_can_be_proven(to: str | None, complete: list, words: str) -> None:  # type: ignore[type-arg]
    """A release that failed is no target."""
    with pytest.raises(Refused, match=words):
        rollback((host(B, complete=complete, journal=[live(1, A), live(2, B)]),), ANA, to=to)


def test_a_name_that_is_none_is_a_usage_error() -> None:
    """Exit 2."""
    with pytest.raises(UsageError):
        rollback((host(B, complete=[A, B], journal=[live(1, A), live(2, B)]),), ANA, to="../../etc")


def test_it_refuses_to_go_below_a_contract_migration_and_says_what_is_still_safe() -> None:
    """P8."""
    journal = [live(1, A), live(2, B), migrated(B, "contract", "drop_column"), live(3, C)]
    found = host(C, complete=[A, B, C], journal=journal)
    assert rollback((found,), ANA).release == B
    with pytest.raises(Refused, match="contract migration drop_column") as caught:
        rollback((found,), ANA, to=str(A))
    assert str(B) in caught.value.hint


def test_an_expand_migration_is_no_obstacle() -> None:
    """The old code survives it by P7."""
    journal = [live(1, A), migrated(B, "expand", "add_column"), live(2, B)]
    assert rollback((host(B, complete=[A, B], journal=journal),), ANA).release == A


def test_a_contract_migration_that_the_target_itself_brought_is_no_obstacle() -> None:
    """It was written for it, and only run later."""
    journal = [
        live(1, A),
        migrated(A, "expand", "add", left=("contract drop",)),
        live(2, B),
        migrated(B, "contract", "drop"),
    ]
    assert rollback((host(B, complete=[A, B], journal=journal),), ANA).release == A


def test_a_contract_migration_of_a_deploy_that_left_this_host_out_is_no_obstacle_for_what_came_later() -> None:
    """P8: it is as old as its event, whose release was never deployed here."""
    contracted = json.dumps({**json.loads(migrated(B, "contract", "drop")), "deploy": 2})
    found = host(D, complete=[A, C, D], journal=[live(1, A), live(3, C), live(4, D), contracted])
    assert rollback((found,), ANA).release == C
    with pytest.raises(Refused, match="contract migration drop"):
        rollback((found,), ANA, to=str(A))


JOURNAL = [live(1, A), live(2, B), live(3, C)]
COPY = Shipment(B, manifest("a"), source="web1")


def fleet(**web2: object) -> tuple[Surveyed, ...]:
    """Two hosts on C; the second is as it is given."""
    settings = web2.get("settings")
    whole = host(C, complete=[A, B, C], journal=JOURNAL, name="web1", settings=settings)  # type: ignore[arg-type]
    return whole, host(**{"current": C, "complete": [A, C], "journal": JOURNAL, "name": "web2"} | web2)  # type: ignore[arg-type]


def test_a_fleet_goes_back_to_the_newest_that_some_host_has_and_has_proven() -> None:
    """Who lacks it is sent it from there, and prepares it anew; who has it compares it with its manifest."""
    plan = rollback(fleet(), ANA, copy=COPY)
    names = {name: [step.name for step in steps] for name, steps in plan.steps.items()}
    assert (plan.release, names["web1"][:2]) == (B, ["begin", "verify"])
    assert names["web2"][:5] == ["begin", "stage", "send", "check", "seal"]
    assert plan.steps["web2"][2].says == "send 1 path, 1 B, from web1"
    assert rollback(fleet(complete=[A, B, C], journal=[live(1, A), live(3, C)]), ANA).release == B


def test_what_any_host_left_as_bad_is_no_target() -> None:
    """Whoever has it."""
    journal = [live(1, A), live(2, B), live(3, A, B, "rollback"), live(4, C)]
    assert rollback(fleet(journal=journal), ANA).release == A


def test_a_host_on_the_target_already_stays_as_it_is() -> None:
    """After a deploy that was kept where it was proven."""
    plan = rollback(fleet(current=B, complete=[A, B], journal=JOURNAL[:-1]), ANA)
    assert (plan.release, list(plan.steps)) == (B, ["web1"])
    assert plan.notes == (f"web2: {B} is live there already",)
    canary = config(strategy={"kind": "canary", "hosts": ["web2"]})
    plan = rollback(fleet(current=B, complete=[A, B], journal=JOURNAL[:-1], settings=canary), ANA)
    assert [batch.hosts for batch in plan.batches] == [("web1",)]


def test_a_host_that_is_only_behind_must_not_have_its_release_marked_bad() -> None:
    """It is left out, or joins first; by name all go."""
    behind = fleet(current=A, journal=JOURNAL[:1])
    with pytest.raises(Refused, match=f"^{C} is live on web1 and {A} is live on web2: ") as caught:
        rollback(behind, ANA, copy=COPY)
    assert "--without" in caught.value.hint
    assert set(rollback(behind, ANA, to=str(B), copy=COPY).steps) == {"web1", "web2"}
