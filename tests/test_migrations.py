"""Expand first: before the switch only what the live code survives."""

from dataclasses import replace

import pytest

from releases.answer import Answer
from releases.deploy import Shipment, deploy
from releases.errors import Refused
from releases.migrating import contract, migrate
from releases.migrations.command import judge
from tests.hosts import ANA, A, B, config, host, live, manifest

COMMANDS = {"kind": "command", "pending": "p", "expand": "e", "contract": "c"}
SETTINGS = config(migrations=COMMANDS, health={"url": "http://127.0.0.1/"})


def answer(*lines: str) -> Answer:
    return Answer(tuple(("pending", line) for line in lines))


def names(found, name: str = "web1") -> list[str]:  # type: ignore[no-untyped-def]
    return [step.name for step in found.steps.get(name, ())]


def test_an_expand_migration_behind_a_contract_one_stops_the_deploy() -> None:
    """Running it would run the contract one first, or skip it for ever."""
    verdict = judge(answer("expand a", "contract b", "expand c"), initial=False)
    assert (verdict.final, verdict.why.split(",")[0]) == (True, "expand c stands behind contract b")


def test_contract_migrations_wait_for_later() -> None:
    """Nothing to expand: nothing is run, and nothing needs to be probed."""
    verdict = judge(answer("contract b"), initial=False)
    assert verdict
    assert (verdict.note, verdict.skips) == (
        "no expand migration is pending; for later: contract b",
        {"expand", "probe"},
    )


def test_where_nothing_is_live_everything_may_run() -> None:
    """There is no old code."""
    verdict = judge(answer("contract b", "expand c"), initial=True)
    assert (bool(verdict), verdict.skips) == (True, frozenset())


@pytest.mark.parametrize("line", ["drop table", "expand", "expand a;rm -rf /", "EXPAND a", "expand $(x)"])
def test_what_is_no_migration_is_refused(line: str) -> None:
    """A tool that prints something else must not be taken for one with nothing pending."""
    assert judge(answer(line), initial=False).final


def test_the_old_release_must_still_answer_after_an_expand_migration() -> None:
    """The N-1 probe; the first deploy has no old release."""
    found = host(A, complete=[A], journal=[live(1, A)], settings=SETTINGS)
    shipment = Shipment(B, manifest("a"))
    assert names(deploy((found,), shipment, ANA))[5:8] == ["pending", "expand", "probe"]
    assert "probe" not in names(deploy((host(settings=SETTINGS),), shipment, ANA))


def test_one_host_leads_unless_each_has_a_database_of_its_own() -> None:
    """``run_on``."""
    each = config(migrations={**COMMANDS, "run_on": "each"})
    for settings, count in ((SETTINGS, 1), (each, 2)):
        hosts = tuple(host(settings=settings, name=name) for name in ("web1", "web2"))
        plan = deploy(hosts, Shipment(B, manifest("a")), ANA)
        assert sum("expand" in names(plan, name) for name in ("web1", "web2")) == count


def test_contract_is_refused_while_a_process_runs_older_code() -> None:
    """It may need the old schema."""
    running = f"12 1 60 - python {A} {A}"
    found = host(B, complete=[A, B], journal=[live(1, A), live(2, B)], settings=SETTINGS, process=running)
    with pytest.raises(Refused, match=f"process 12 .python. still runs {A}"):
        contract((found,), ANA)


def test_contract_runs_once_nothing_needs_the_old_schema() -> None:
    """And migrate runs what is pending now."""
    found = host(B, complete=[A, B], journal=[live(1, A), live(2, B)], settings=SETTINGS)
    assert names(contract((found,), ANA)) == ["begin", "contract", "end"]
    assert names(migrate((found,), ANA)) == ["begin", "pending", "expand", "end"]


def test_without_migrations_there_is_nothing_to_contract() -> None:
    """Exit 10."""
    with pytest.raises(Refused, match="has no"):
        contract((host(B, complete=[B], journal=[live(1, B)]),), ANA)


def test_contract_is_refused_while_a_host_is_live_on_another_release() -> None:
    """P7: what was left out of a deploy still needs the old schema."""
    journal = [live(1, A), live(2, B)]
    one = host(B, complete=[A, B], journal=journal, settings=SETTINGS)
    two = host(
        A, complete=[A], journal=journal[:1], settings=SETTINGS, name="web2", process=f"12 1 60 - python {A} {A}"
    )
    with pytest.raises(Refused, match=f"web2: live is {A}, not {B} as on web1") as caught:
        contract((one, two), ANA)
    assert f"inv deploy --release {B}" in caught.value.hint


def test_each_database_has_a_leader_of_its_own() -> None:
    """The first of its hosts; the others write down what it did."""
    one, two = (config(migrations={**COMMANDS, "database": name}) for name in ("one", "two"))
    hosts = tuple(host(settings=s, name=n) for s, n in ((two, "b"), (one, "a"), (two, "c"), (one, "d")))
    plan = deploy(hosts, Shipment(B, manifest("a")), ANA)
    assert [name for name in "bacd" if "expand" in names(plan, name)] == ["b", "a"]
    assert [s.values["leader"] for name in "cd" for s in plan.steps[name] if s.name == "share"] == ["b", "a"]


def test_the_leader_is_the_first_in_deploy_toml_in_whichever_order_hosts_are_named() -> None:
    """So that a database has one leader, whoever deploys."""
    hosts = tuple(replace(host(settings=SETTINGS, name=name), order=at) for at, name in ((2, "c"), (0, "a"), (1, "b")))
    plan = deploy(hosts, Shipment(B, manifest("a")), ANA)
    assert [name for name in "abc" if "expand" in names(plan, name)] == ["a"]
