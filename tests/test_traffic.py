"""What `status` says of what a balancer tells, and who brings back a host that was left out."""

import pytest

from releases.answer import Answer
from releases.errors import Refused, ReleaseError
from releases.surveyed import Surveyed
from releases.tables import statuses
from releases.traffic import NONE, Traffic, seen
from tests.hosts import A, config, host
from tests.test_draining import COMMAND, FILE, HAPROXY, REMOTE

LB = "balancer lb1:/srv/lb"
NGINX = {"kind": "nginx", "include": "/etc/nginx/shop.conf"}
HOLDER = '{"who":"ben","place":"desk"}'


def found(balancer: object = REMOTE, **answers: str) -> Surveyed:
    return host(A, complete=[A], settings=config(balancer=balancer), **answers)


def told(**pairs: str) -> Answer:
    return Answer(tuple(pairs.items()))


@pytest.mark.parametrize(
    ("balancer", "answer", "state"),
    [
        (REMOTE, told(status="UP 1/2"), "in rotation"),
        (REMOTE, told(status="no check"), "in rotation"),
        (REMOTE, told(status="DOWN"), "down"),
        (REMOTE, told(status="MAINT"), "in maintenance"),
        (REMOTE, told(), "not known there"),
        (NGINX, told(state="up"), "in rotation"),
        (NGINX, told(), "not known there"),
        (FILE, told(state="up"), "in rotation"),
        (COMMAND, told(), ""),
    ],
)
def test_each_kind_says_how_it_sees_a_host(balancer: object, answer: Answer, state: str) -> None:
    """In the same words; nothing is noted of who is where it belongs."""
    assert seen(found(balancer), answer, {}) == Traffic(state)


@pytest.mark.parametrize(
    ("balancer", "place", "answers", "note"),
    [
        (HAPROXY, None, {"locked": "1"}, ""),
        (HAPROXY, None, {"armed": "7"}, "left out of rotation by deploy 7: it settles that by itself, or "),
        (HAPROXY, None, {}, "out of rotation, and nothing is armed to bring it back: "),
        (REMOTE, told(locked="1", holder=HOLDER), {}, "its balancer's host is locked by ben on desk"),
        (REMOTE, told(armed="web1.8"), {}, "left out of rotation by deploy 8: the balancer's host settles that by "),
        (REMOTE, told(armed="web2.8"), {}, "out of rotation, and nothing is armed to bring it back: "),
    ],
)
def test_who_is_left_out_is_told_with_who_settles_it(
    balancer: object, place: Answer | None, answers: dict[str, str], note: str
) -> None:
    """What is armed on the place that drained it, if anything is; while a deploy is at work nobody is left out."""
    said = seen(found(balancer, **answers), told(status="DRAIN"), {LB: place} if place else {})
    assert said.state == "drained"
    assert said.note.startswith(note)
    assert bool(said.note) == bool(note)


def test_a_mark_of_the_host_is_all_that_is_known_of_commands() -> None:
    """`status` has a note of its own about it."""
    assert seen(found(COMMAND, drained="7"), Answer(), {}) == Traffic("drained")


def test_a_balancer_that_cannot_be_asked_is_a_note() -> None:
    """Never a failure."""
    error: ReleaseError = Refused("lb1: no route")
    said = seen(found(), error, {LB: error})
    assert said == Traffic("?", "its balancer cannot be asked: lb1: no route")
    (row,) = statuses((found(),), {"web1": said})
    assert (row["balancer"], row["note"]) == ("?", said.note)


def test_without_a_balancer_nothing_is_said() -> None:
    """Nor asked."""
    assert seen(host(A), Answer(), {}) == NONE
