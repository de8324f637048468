"""A host that joins gets what the others have, and nothing happens on them."""

import json
from dataclasses import replace

import pytest

from releases.config import Target
from releases.deploy import Shipment
from releases.errors import Refused, UsageError
from releases.joining import join, named
from releases.lines import ARGUMENT, request
from releases.scripts import render
from releases.surveyed import Surveyed
from tests.hosts import ANA, A, B, config, host, live, manifest

COPY = Shipment(B, manifest("a"), source="web1")
JOURNAL = [live(1, A), live(2, B)]


def fleet(**web3: object) -> tuple[Surveyed, ...]:
    """Two hosts on B, and web3 as it is given."""
    settings = web3.get("settings")
    there = [host(B, complete=[A, B], journal=JOURNAL, name=n, settings=settings) for n in ("web1", "web2")]  # type: ignore[arg-type]
    return (*there, host(**{"current": A, "complete": [A], "journal": JOURNAL[:1], "name": "web3"} | web3))  # type: ignore[arg-type]


def test_it_is_sent_what_it_lacks_and_switched_alone() -> None:
    """By the steps of a deploy; its journal learns who made what live."""
    plan = join("web3", fleet(), ANA, copy=COPY)
    assert [step.name for step in plan.steps["web3"]] == [
        "begin", "stage", "send", "check", "seal", "arm", "publish", "prove", "settled", "confirm", "finish",
    ]  # fmt: skip
    assert (list(plan.steps), plan.release, plan.previous, plan.number) == (["web3"], B, A, 3)


def test_what_it_has_is_verified() -> None:
    """As before any switch."""
    plan = join("web3", fleet(complete=[A, B]), ANA)
    assert [step.name for step in plan.steps["web3"]][:3] == ["begin", "verify", "arm"]


def test_one_that_is_there_already_is_proven_again() -> None:
    """By its own journal: what others have proven does not count."""
    assert join("web3", fleet(current=B, complete=[A, B], journal=JOURNAL), ANA).verb == "already_live"
    hosts = fleet(current=B, complete=[A, B])
    assert join("web3", (*hosts[:2], hosts[2].knowing(hosts)), ANA).verb == "join"


@pytest.mark.parametrize(("run_on", "runs"), [("leader", False), ("each", True)])
def test_migrations_run_where_it_has_a_database_of_its_own(run_on: str, runs: bool) -> None:
    """On a shared one they have run, and its journal is told."""
    settings = config(migrations={"kind": "command", "pending": "p", "expand": "e", "run_on": run_on})
    plan = join("web3", fleet(settings=settings), ANA, copy=COPY)
    assert ("expand" in [step.name for step in plan.steps["web3"]]) is runs
    ran = '{"event":"migrated","deploy":2,"release":"x","phase":"expand","names":["add"]}'
    hosts = fleet(settings=settings)
    leader = host(B, complete=[A, B], journal=[*JOURNAL, ran], name="web1", settings=settings)
    told = join("web3", (leader, hosts[1], hosts[2].knowing((leader,))), ANA, copy=COPY).steps["web3"][0]
    assert (ran in str(told.values["untold"])) is not runs


def test_the_first_host_of_deploy_toml_runs_no_migration_of_the_others_when_it_joins() -> None:
    """They have run, on whoever led then."""
    settings = config(migrations={"kind": "command", "pending": "p", "expand": "e"})
    one, two, three = (replace(h, order=order) for order, h in zip((1, 2, 0), fleet(settings=settings), strict=True))
    assert "expand" not in [step.name for step in join("web3", (one, two, three), ANA, copy=COPY).steps["web3"]]


def test_nobody_joins_while_a_canary_waits() -> None:
    """Exit 10: it would join one side of what is not decided, and nobody could promote it any more."""
    told = f'{{"event":"canary","deploy":2,"release":"{B}","hosts":["web1","web2"],"at":"today"}}'
    _, two, three = fleet()
    waits = host(B, complete=[A, B], journal=[*JOURNAL, told], name="web1")
    with pytest.raises(Refused, match=f"the canary of {B} waits on web1, web2") as refused:
        join("web3", (waits, two, three), ANA, copy=COPY)
    assert "--promote" in refused.value.hint


def test_what_a_host_is_told_of_the_database_fits_whatever_has_run() -> None:
    """One step has a limit; all is told, in its order, and before the deploy that may refer to it."""
    names = ["it's \\ name " * 5] * 3
    ran = [
        json.dumps({"event": "migrated", "deploy": n, "release": "x", "phase": "expand", "names": names, "at": "then"})
        for n in range(600)
    ]
    settings = config(migrations={"kind": "command", "pending": "p", "expand": "e"})
    hosts = fleet(settings=settings)
    leader = host(B, complete=[A, B], journal=[*JOURNAL, *ran], name="web1", settings=settings)
    found = join("web3", (leader, hosts[1], hosts[2].knowing((leader,))), ANA, copy=COPY).steps["web3"]
    told = [step for step in found if "untold" in step.values]
    assert ([step.name for step in told], found[0]) == ([*["tell"] * (len(told) - 1), "begin"], told[0])
    assert all(len(request((render(step), 600.0))) < ARGUMENT for step in told)
    lines = [line for step in told for line in step.values["untold"]]  # type: ignore[attr-defined]
    assert [json.loads(line)["deploy"] for line in lines if '"migrated"' in line] == list(range(600))


def test_others_that_differ_are_nothing_to_join() -> None:
    """Exit 10: hosts are never averaged."""
    one, two, three = fleet()
    with pytest.raises(Refused, match=f"^{B} is live on web1 and {A} is live on web3: ") as caught:
        join("web2", (one, two, three), ANA)
    assert "inv deploy" in caught.value.hint
    with pytest.raises(Refused, match="nothing is live"):
        join("web3", (host(name="web1"), three), ANA)
    with pytest.raises(Refused, match="web1: deploy 4 was not confirmed"):
        join("web3", (host(B, name="web1", armed="4"), three), ANA)


@pytest.mark.parametrize(
    ("word", "count", "words"),
    [("web9", 2, "is none of the hosts"), ("web", 2, "is more than one host"), ("web1", 1, "no other host to join")],
)
def test_the_word_must_mean_one_host_of_several(word: str, count: int, words: str) -> None:
    """Exit 2, with the names."""
    targets = tuple(Target.at(f"ana@web{n}", group="web", config=config()) for n in range(1, count + 1))
    with pytest.raises(UsageError, match=words):
        named(word, targets)


def test_a_host_is_called_as_elsewhere() -> None:
    """By its address or its name; a table of one host is that host."""
    one, two = (Target.at(f"ana@{name}:22", group=name, config=config()) for name in ("web1", "web2"))
    assert {named(word, (one, two)) for word in ("ana@web2:22", "web2:22", "web2")} == {"web2:22"}
