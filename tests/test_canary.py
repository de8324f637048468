"""A canary that is held until somebody decides: journals in, plans out."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from releases.canary import check_none_waits, standing, waiting
from releases.deploy import Shipment, deploy, redeploy
from releases.errors import Refused, ReleaseError
from releases.history import History
from releases.migrating import contract
from releases.outcome import Outcome
from releases.plan import Phase, Plan
from releases.promote import abort, promote
from releases.prune import expired
from releases.rollback import rollback
from releases.surveyed import Surveyed
from releases.tables import state, status
from tests.hosts import ANA, A, B, C, config, host, live, manifest

HOLD = config(strategy={"kind": "canary", "hold": True, "watch_s": 5})
NAMES = ("web1", "web2", "web3")


def event(name: str, number: int, **more: object) -> str:
    return json.dumps({"event": name, "deploy": number, **more}, separators=(",", ":"))


BEGAN = event("deploy", 2, verb="deploy", release=str(B))
CANARY = event("canary", 2, release=str(B), previous=str(A), hosts=["web1"], at="noon")
LIVE = event("live", 2, verb="deploy", release=str(B), previous=str(A))
ON, READY = (live(1, A), BEGAN, CANARY, LIVE), (live(1, A), BEGAN, CANARY)
DIED = event("reverted", 2, to=str(A))
PROMOTED, ABORTED = (event(how, 3, canary=2, release=str(B)) for how in ("promoted", "aborted"))
BACK = event("live", 3, verb="abort", release=str(A), previous=str(B))
THERE = event("live", 3, verb="promote", release=str(B), previous=str(A))


def on(*journal: str, current: object = B, name: str = "web1") -> Surveyed:
    """A host of the canary; *journal* follows on what it has."""
    return host(current, complete=[A, B], journal=[*ON, *journal], settings=HOLD, name=name)  # type: ignore[arg-type]


def ready(*journal: str, name: str = "web2", current: object = A) -> Surveyed:
    """A host of the rest."""
    return host(current, complete=[A, B], journal=[*READY, *journal], settings=HOLD, name=name)  # type: ignore[arg-type]


def shipped(hosts: tuple[Surveyed, ...]) -> Plan:
    return deploy(hosts, Shipment(B, manifest("a")), ANA)


def before(*names: str, settings: object = HOLD) -> tuple[Surveyed, ...]:
    """Hosts on which A is live, and B is not known."""
    return tuple(host(A, complete=[A], journal=[live(1, A)], settings=settings, name=n) for n in names)  # type: ignore[arg-type]


def test_only_the_canary_switches_and_all_write_down_that_it_waits() -> None:
    """The rest has the release staged and rehearsed by then; the canary is confirmed last of all."""
    plan = shipped(before(*NAMES))
    names = {host: [step.name for step in steps] for host, steps in plan.steps.items()}
    assert names["web1"][-4:] == ["settled", "canary", "confirm", "finish"]
    assert names["web2"] == names["web3"] == ["begin", "stage", "send", "check", "seal", "canary"]
    assert [(b.hosts, b.watch_s, b.wait) for b in plan.batches] == [(("web1",), 5, False), (("web2", "web3"), 0, True)]
    assert "in this order: web1 (watched for 5 s) | web2, web3 (ready, and not switched)" in str(plan)
    assert (plan.hosts_of(Phase.CONFIRM), plan.holds) == (("web1",), ("web1",))


def test_hosts_that_differ_on_purpose_are_no_success() -> None:
    """P3: 0 means that every host runs it; so 13, with what is true of each."""
    plan = shipped(before("web1", "web2"))
    words = standing(plan, {"web1": A, "web2": A})
    assert words == {"web1": f"live: {B}, canary", "web2": f"live: {A}, {B} is ready"}
    assert Outcome("partial", hosts=words).exit_code == 13


def test_a_canary_is_held_only_where_it_can_go_back() -> None:
    """Not by the first deploy of all, and not on the only host."""
    first = shipped(tuple(host(settings=HOLD, name=name) for name in NAMES))
    assert first.holds == ()
    assert "none is held" in first.notes[-1]
    assert shipped(before("web1")).holds == ()
    watched = config(strategy={"kind": "canary", "watch_s": 5})
    assert shipped(before(*NAMES, settings=watched)).holds == ()


def test_a_canary_is_held_by_all_or_goes_back() -> None:
    """Also where what was proven may stay when another fails."""
    stop = config(strategy={"kind": "canary", "hold": True, "on_failure": "stop"})
    plan = shipped(before(*NAMES, settings=stop))
    assert (plan.holds, plan.keeps) == (("web1",), False)


def test_a_release_that_is_there_already_is_held_as_well() -> None:
    """deploy --release."""
    hosts = tuple(host(A, complete=[A, B], journal=[live(1, A)], settings=HOLD, name=n) for n in NAMES)
    plan = redeploy(hosts, B, ANA)
    assert (plan.holds, [s.name for s in plan.steps["web2"]]) == (("web1",), ["begin", "verify", "canary"])


@pytest.mark.parametrize(
    ("hosts", "waits"),
    [
        ((on(), ready()), True),
        ((on(),), True),
        ((ready(),), True),
        (before("web1"), False),
        # One that was never confirmed: its deployer died, or its confirm failed.
        ((host(A, complete=[A, B], journal=[*READY, DIED]), ready()), False),
        ((ready(event("failed", 2)),), False),
        # A failure of which only the rest was told, while the canary was confirmed all the same.
        ((on(), ready(event("failed", 2))), True),
        # What one was told of its end, all know.
        ((on(PROMOTED), ready(current=A)), False),
        ((on(BACK, current=A), ready(ABORTED)), False),
        # Nobody lived to write it down.
        ((on(), ready(THERE, current=B)), False),
        ((on(BACK, current=A), ready()), False),
        # Half of it.
        ((on(), ready(THERE, current=B), ready(name="web3")), True),
        ((on(BACK, current=A), on(name="web3"), ready()), True),
        # A promotion that failed has changed nothing.
        ((on(event("failed", 3)), ready(event("reverted", 3))), True),
        # The schema is nothing that a canary ends with.
        ((on(event("deploy", 3, verb="migrate"), event("done", 3)), ready()), True),
        # Somebody could begin another deploy, so it was over.
        ((ready(event("deploy", 3, verb="deploy", release=str(C))),), False),
    ],
)
def test_it_waits_until_somebody_has_decided(hosts: tuple[Surveyed, ...], waits: bool) -> None:
    """Whoever died in between, and whichever hosts are asked."""
    found = waiting(hosts)
    assert (found is not None) is waits
    assert not found or (found.number, found.release, found.hosts, found.since) == (2, B, ("web1",), "noon")


@pytest.mark.parametrize(
    "verb",
    [
        shipped,
        lambda hosts: deploy(hosts, Shipment(C, manifest("a")), ANA, force=True),
        lambda hosts: redeploy(hosts, A, ANA),
        lambda hosts: rollback(hosts, ANA),
        lambda hosts: contract(hosts, ANA),
        check_none_waits,
    ],
)
def test_nothing_else_is_switched_meanwhile(verb: object) -> None:
    """10, with both ways out; nor is the schema that the rest still needs taken away."""
    with pytest.raises(Refused, match=f"the canary of {B} waits on web1 since noon") as caught:
        verb((on(), ready()))  # type: ignore[operator]
    assert "inv deploy --promote" in caught.value.hint
    assert "inv deploy --abort-canary" in caught.value.hint


def test_a_promotion_proves_the_canary_again_and_switches_the_rest() -> None:
    """Nothing is sent and no migration runs; all write down that it is over."""
    plan = promote((on(), ready(), ready(name="web3")), ANA)
    names = {host: [step.name for step in steps] for host, steps in plan.steps.items()}
    assert names["web1"] == ["begin", "prove", "settled", "end"]
    assert {s.phase for s in plan.steps["web1"][1:3]} == {Phase.REHEARSE}
    switch = ["begin", "verify", "arm", "publish", "prove", "settled", "confirm", "finish", "end"]
    assert names["web2"] == names["web3"] == switch
    assert (plan.verb, plan.release, plan.previous, plan.number) == ("promote", B, A, 3)
    assert standing(plan, {"web1": B, "web2": A, "web3": A}) == dict.fromkeys(NAMES, f"live: {B}")


def test_a_promotion_keeps_the_order_of_the_groups() -> None:
    """Workers before web, here too."""
    settings = config(strategy={"kind": "canary", "hold": True, "groups": ["workers", "web"]})
    hosts = (on(), ready(name="web2"), ready(name="work1"))
    tiers = [replace(h, config=settings, group="workers" if h.name == "work1" else "web") for h in hosts]
    assert [batch.hosts for batch in promote(tuple(tiers), ANA).batches] == [("work1",), ("web2",)]


def test_a_promotion_goes_on_with_those_that_were_not_promoted_yet() -> None:
    """Where the deployer died between them."""
    plan = promote((on(), ready(THERE, current=B), ready(name="web3")), ANA)
    assert plan.hosts_of(Phase.SWITCH) == ("web3",)


@pytest.mark.parametrize("decide", [promote, abort])
def test_a_decision_is_carried_out_on_all_or_on_none(decide: Callable[..., Plan]) -> None:
    """Whatever on_failure says: who was kept would be told that no canary waits, and the rest would lack it."""
    stop = config(strategy={"kind": "canary", "hold": True, "on_failure": "stop"})
    hosts = tuple(replace(h, config=stop) for h in (on(), on(name="web4"), ready(), ready(name="web3")))
    assert not decide(hosts, ANA).keeps


def test_an_abortion_takes_the_canary_back_and_marks_it_bad_everywhere() -> None:
    """The rest is not touched."""
    plan = abort((on(), ready()), ANA)
    names = {host: [step.name for step in steps] for host, steps in plan.steps.items()}
    assert names["web1"] == ["begin", "verify", "arm", "publish", "prove", "settled", "confirm", "finish", "end"]
    assert names["web2"] == ["begin", "end"]
    assert (plan.verb, plan.release, plan.previous, plan.number) == ("abort", A, B, 3)
    for end in (ABORTED, BACK):
        assert History.parse("\n".join((*ON, end)).splitlines()).bad == {B}
    assert History.parse("\n".join((*READY, ABORTED)).splitlines()).bad == {B}


def test_canaries_that_differed_go_back_to_what_all_of_them_have() -> None:
    """The newest that was proven."""
    was_c = event("live", 2, verb="deploy", release=str(B), previous=str(C))
    other = host(B, complete=[A, B], journal=[live(1, A), BEGAN, CANARY, was_c], settings=HOLD, name="web3")
    assert abort((on(), other, ready()), ANA).release == A


@pytest.mark.parametrize(
    ("verb", "hosts", "why"),
    [
        (promote, before("web1", "web2"), "no canary waits"),
        (abort, before("web1", "web2"), "no canary waits"),
        (promote, (on(),), "is live on all of web1"),
        (promote, (ready(),), "live on none of web2: its canary waits elsewhere"),
        (abort, (ready(),), "waits elsewhere"),
        (promote, (on(), host(A, complete=[A], journal=READY, name="web2")), "web2: there is no complete release"),
        (abort, (host(B, complete=[B], journal=ON),), f"web1: there is no complete release {A}"),
    ],
)
def test_what_cannot_be_decided_is_refused(verb: object, hosts: tuple[Surveyed, ...], why: str) -> None:
    """With what helps."""
    with pytest.raises(ReleaseError, match=why) as caught:
        verb(hosts, ANA)  # type: ignore[operator]
    assert caught.value.hint
    assert caught.value.exit_code == 10


def test_who_lacks_the_release_of_a_canary_can_be_left_behind() -> None:
    """The refusal names all of them in one go."""
    lacking = (host(A, complete=[A], journal=READY, name=name) for name in ("web2", "web3"))
    with pytest.raises(Refused, match="web2, web3: there is no complete release") as caught:
        promote((on(), *lacking), ANA)
    assert "`--without web2,web3`" in caught.value.hint


def test_prune_spares_what_a_canary_is_about() -> None:
    """P6: what the rest would take, and what the canary would go back to; even with one release to keep."""
    one = config(keep={"releases": 1})
    old = [live(1, A), live(2, C)]
    began, canary = BEGAN.replace(":2,", ":3,"), CANARY.replace(":2,", ":3,").replace(str(A), str(C))
    rest = host(C, complete=[A, B, C], journal=[*old, began, canary], settings=one)
    assert expired(rest, C) == ()
    aborted = event("aborted", 4, canary=3, release=str(B))
    over = host(C, complete=[A, B, C], journal=[*old, began, canary, aborted], settings=one)
    assert B in expired(over, C)
    confirmed = live(3, B, C).splitlines()[1]
    bird = host(B, complete=[B, C], journal=[*old, began, canary, confirmed], settings=one)
    assert expired(bird, B) == ()


def test_status_says_on_each_host_what_waits() -> None:
    """With both ways out, and nothing of a deploy that was interrupted."""
    hosts = (on(), ready())
    found = waiting(hosts)
    notes = [status(each, found)["note"] for each in hosts]
    assert notes[0].startswith(f"canary of {B} since noon: `inv deploy --promote`")
    assert notes[1].startswith(f"{B} is ready, its canary waits on web1: `inv deploy --promote`")
    left_out = host(A, complete=[A], journal=[live(1, A)], settings=HOLD, name="web3")
    assert status(left_out, found)["note"].startswith(f"has no {B}; its canary waits on web1: `inv deploy --promote`")
    assert state(hosts[1], B) == "ready"
    assert state(hosts[0], B) == "live, proven"
