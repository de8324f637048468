"""In which order hosts switch: values in, batches out."""

from dataclasses import replace

import pytest

from releases.deploy import Shipment, deploy
from releases.errors import UsageError
from releases.strategies import batches, check_fits, undercut
from releases.surveyed import Surveyed
from tests.hosts import ANA, A, B, config, host, live, manifest


def fleet(*names: str, ill: tuple[str, ...] = (), **strategy: object) -> tuple[Surveyed, ...]:
    """Hosts on which A is live, but for the ill ones, with this strategy."""
    settings = config(strategy=strategy)
    return tuple(
        host(None if n in ill else A, complete=[A], journal=[live(1, A)], settings=settings, name=n) for n in names
    )


def order(hosts: tuple[Surveyed, ...]) -> list[tuple[str, ...]]:
    return [batch.hosts for batch in batches(hosts[0].config.strategy, hosts)]


FOUR = ("web1", "web2", "web3", "web4")


def test_all_switch_at_once() -> None:
    """Unless something else is said."""
    assert order(fleet(*FOUR)) == [FOUR]


@pytest.mark.parametrize(
    ("batch", "cut"),
    [
        (1, [("web1",), ("web2",), ("web3",), ("web4",)]),
        (3, [("web1", "web2", "web3"), ("web4",)]),
        ("25%", [("web1",), ("web2",), ("web3",), ("web4",)]),
        ("60%", [("web1", "web2", "web3"), ("web4",)]),
        ("100%", [FOUR]),
    ],
)
def test_rolling_takes_so_many_at_a_time(batch: object, cut: list[tuple[str, ...]]) -> None:
    """A count, or a share of them all, rounded up."""
    assert order(fleet(*FOUR, kind="rolling", batch=batch)) == cut


def test_rolling_begins_with_who_is_ill() -> None:
    """They have the least to lose."""
    assert order(fleet(*FOUR, ill=("web3",), kind="rolling")) == [("web3",), ("web1",), ("web2",), ("web4",)]


def test_rolling_begins_where_nothing_is_live_yet() -> None:
    """A first deploy has nobody who must go on serving."""
    assert order(fleet("web1", "web2", ill=("web1", "web2"), kind="rolling")) == [("web1",), ("web2",)]


def test_between_batches_hosts_are_watched_and_after_the_last_they_are_not() -> None:
    """``pause_s``; and ``check`` must agree after each, also before all is confirmed."""
    found = batches((hosts := fleet(*FOUR, kind="rolling", batch=2, pause_s=5, check="ok"))[0].config.strategy, hosts)
    assert [(batch.watch_s, batch.check) for batch in found] == [(5, "ok"), (0, "ok")]


@pytest.mark.parametrize(
    ("canary", "first"), [({}, ("web1",)), ({"count": 2}, FOUR[:2]), ({"hosts": ["web3"]}, ("web3",))]
)
def test_a_canary_goes_first_and_the_rest_at_once(canary: dict[str, object], first: tuple[str, ...]) -> None:
    """By count or by name; watched meanwhile."""
    hosts = fleet(*FOUR, kind="canary", watch_s=30, **canary)
    assert order(hosts) == [first, tuple(name for name in FOUR if name not in first)]
    assert [batch.watch_s for batch in batches(hosts[0].config.strategy, hosts)] == [30, 0]


@pytest.mark.parametrize(
    ("strategy", "why"),
    [
        ({"kind": "rolling", "batch": 5}, "5 at a time, but there are 4 hosts"),
        ({"kind": "canary", "count": 4}, "all 4 hosts would be canaries"),
        ({"kind": "canary", "hosts": FOUR}, "all 4 hosts would be canaries"),
        ({"kind": "canary", "hosts": ["web9"]}, "web9 is none of the hosts of this deploy"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_with_these_hosts_is_refused(strategy: dict[str, object], why: str) -> None:
    """Before anything is changed, with what helps; one host alone has no order."""
    with pytest.raises(UsageError, match=why) as caught:
        check_fits(config(strategy=strategy).strategy, FOUR)
    assert caught.value.hint
    check_fits(config(strategy=strategy).strategy, ("web1",))


@pytest.mark.parametrize(
    ("strategy", "ill"),
    [
        ({"batch": 2, "min_healthy": 3}, ()),
        ({"min_healthy": "100%"}, ()),
        ({"batch": 2, "min_healthy": 3}, ("web1",)),
        ({"batch": 3, "min_healthy": 2}, ("web1", "web2")),
    ],
)
def test_never_fewer_than_min_healthy_are_left_to_serve(strategy: dict[str, object], ill: tuple[str, ...]) -> None:
    """In whichever batch that would be."""
    hosts = fleet(*FOUR, ill=ill, kind="rolling", **strategy)
    with pytest.raises(UsageError, match="must go on serving") as caught:
        batches(hosts[0].config.strategy, hosts)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("least", "ill"), [("75%", ("web1",)), (3, ("web1", "web2")), (0, FOUR), (2, FOUR), (1, FOUR[:3])]
)
def test_who_is_ill_is_no_loss_and_serves_once_it_was_replaced(least: object, ill: tuple[str, ...]) -> None:
    """So a first deploy, a fix and a rollback are not refused for want of what they bring."""
    hosts = fleet(*FOUR, ill=ill, kind="rolling", min_healthy=least)
    assert order(hosts)[: len(ill)] == [(name,) for name in ill]


def test_whom_without_leaves_out_is_missed_by_no_strategy() -> None:
    """Fewer at a time, or another canary; the last host alone goes as it is."""
    there = ("web2", "web4")
    assert order(fleet(*there, kind="rolling", batch=3)) == [there]
    assert order(fleet(*there, kind="canary", hosts=["web1"])) == [("web2",), ("web4",)]
    assert order(fleet(*there, kind="canary", count=3)) == [there]


def test_all_at_once_are_confirmed_only_when_the_check_agrees() -> None:
    """A gate that is never asked would be worse than none."""
    assert batches((hosts := fleet(*FOUR, check="ok"))[0].config.strategy, hosts)[0].check == "ok"


@pytest.mark.parametrize(
    "wrong", [{"batch": 0}, {"batch": "150%"}, {"batch": "0%"}, {"batch": True}, {"min_healthy": -1}]
)
def test_what_is_no_amount_is_a_mistake_of_the_file(wrong: dict[str, object]) -> None:
    """Whatever the hosts."""
    with pytest.raises(ValueError, match="a whole number from"):
        config(strategy={"kind": "rolling", **wrong})


def test_the_plan_says_the_order() -> None:
    """P11; on one host there is none."""
    hosts = fleet("web1", "web2", kind="rolling", pause_s=3)
    plan = deploy(hosts, Shipment(B, manifest("a")), ANA)
    assert "in this order: web1 (watched for 3 s) | web2" in str(plan)
    alone = deploy(hosts[:1], Shipment(B, manifest("a")), ANA)
    assert (alone.batches, "in this order" in str(alone)) == ((), False)


def tiers(**strategy: object) -> tuple[Surveyed, ...]:
    """Three web servers, two workers and a host of no group, of which workers go first."""
    names = {"web1": "web", "work1": "workers", "web2": "web", "work2": "workers", "web3": "web", "db1": "other"}
    found = fleet(*names, groups=["workers", "web"], **strategy)
    return tuple(replace(host, group=names[host.name]) for host in found)


@pytest.mark.parametrize(
    ("strategy", "cut"),
    [
        ({}, ["work1 work2", "web1 web2 web3", "db1"]),
        ({"kind": "rolling", "batch": 2}, ["work1 work2", "web1 web2", "web3", "db1"]),
        ({"kind": "rolling", "batch": 3}, ["work1 work2", "web1 web2 web3", "db1"]),
        ({"kind": "rolling", "batch": "50%"}, ["work1", "work2", "web1 web2", "web3", "db1"]),
        ({"kind": "canary"}, ["work1", "work2", "web1", "web2 web3", "db1"]),
        ({"kind": "canary", "count": 2}, ["work1 work2", "web1 web2", "web3", "db1"]),
        ({"kind": "canary", "hosts": ["web3"]}, ["work1 work2", "web3", "web1 web2", "db1"]),
    ],
)
def test_groups_switch_one_after_the_other(strategy: dict[str, object], cut: list[str]) -> None:
    """No batch has hosts of two; within each the strategy holds, and hosts of none come last."""
    assert order(tiers(**strategy)) == [tuple(names.split()) for names in cut]


def test_between_groups_the_check_must_succeed_as_between_batches() -> None:
    """With every kind."""
    hosts = tiers(check="ok")
    assert [batch.check for batch in batches(hosts[0].config.strategy, hosts)] == ["ok", "ok", "ok"]


def test_each_group_may_say_how_many_of_it_switch_and_serve() -> None:
    """In its own table: of the only host of a group none can go on serving."""
    alone = {"kind": "rolling", "min_healthy": 1}
    hosts = tiers(**alone)
    with pytest.raises(UsageError, match="1 must go on serving, but 1 of 1 are healthy and 1 switch"):
        order(hosts)
    settings = config(strategy={**alone, "groups": ["workers", "web"], "min_healthy": 0})
    assert order((*hosts[:-1], replace(hosts[-1], config=settings)))[-1] == ("db1",)


def test_a_canary_that_is_held_is_one_of_each_group() -> None:
    """In the order of the groups; a group that has no more hosts than canaries has none."""
    plan = deploy(tiers(kind="canary", hold=True, watch_s=5), Shipment(B, manifest("a")), ANA)
    assert plan.holds == ("work1", "web1")
    assert [(batch.hosts, batch.watch_s) for batch in plan.batches] == [
        (("work1",), 5),
        (("web1",), 5),
        (("web2", "work2", "web3", "db1"), 0),
    ]


BESIDE = "3 must go on serving, but 2 would beside web3 (ill now: web4)"


@pytest.mark.parametrize(
    ("least", "ill", "proven", "batch", "why"),
    [
        (2, (), ("web1",), ("web2",), ""),
        (2, ("web3",), ("web1",), ("web2",), ""),  # web1 and web4 serve
        (3, ("web3",), ("web1",), ("web2",), "3 must go on serving, but 2 would beside web2 (ill now: web3)"),
        (3, ("web3",), ("web1",), ("web3",), ""),  # who is ill is no loss
        (
            "75%",
            ("web4",),
            ("web1", "web2"),
            ("web3",),
            BESIDE,
        ),
        (3, ("web1", "web2"), ("web1", "web2"), ("web3",), ""),  # was proven, whatever the survey says of the old one
    ],
)
def test_who_has_fallen_ill_since_the_plan_holds_up_the_next_batch(
    least: int | str, ill: tuple[str, ...], proven: tuple[str, ...], batch: tuple[str, ...], why: str
) -> None:
    """min_healthy is never undercut."""
    hosts = fleet(*FOUR, ill=ill, kind="rolling", min_healthy=least)
    assert undercut(hosts, proven, batch).removeprefix("strategy.min_healthy: ") == why


def test_each_group_counts_its_own() -> None:
    """And other strategies have no such count."""
    web, ill = (
        fleet("web1", "web2", kind="rolling", groups=["work", "web"], min_healthy=1),
        fleet("web3", ill=("web3",)),
    )
    hosts = (*(replace(host, group="web") for host in web), replace(ill[0], group="work"))
    assert not undercut(hosts, (), ("web1",))
    assert not undercut(fleet(*FOUR, ill=FOUR[1:], min_healthy=1), (), ("web1",))
