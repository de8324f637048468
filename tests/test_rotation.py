"""Whatever fails, everybody comes back: a carriage over hosts that do as a test tells them."""

import threading
from collections.abc import Callable
from typing import Any

from releases.answer import Answer
from releases.carry import Carriage
from releases.errors import OutcomeUnknown, StepFailed
from releases.plan import Plan, Step
from releases.rotation import Rotation
from releases.surveyed import Surveyed
from releases.targets import Target
from tests.test_draining import COMMAND, REMOTE, THREE, fleet, plan

Does = Callable[[str, Step], Answer]
LB = "balancer lb1:/srv/lb"


class Hosts:
    """What a `Fleet` does, without hosts: *does* answers; what was run is in *ran*, as ``host step``."""

    def __init__(self, hosts: tuple[Surveyed, ...], does: Does | None = None) -> None:
        self.hosts, self.does = hosts, does or (lambda name, step: Answer())
        self.ran: list[str] = []
        self.rejoined: list[str] = []
        self.gone: set[str] = set()
        self.targets = {host.name: host for host in hosts}
        self.places = {LB: Target.at("lb1", group="", config=hosts[0].config)}
        self.report: Any = self

    def began_step(self, *_: object) -> None:
        """Nobody listens."""

    say = event = ended_step = began_step

    def reaches(self, name: str) -> bool:
        """Is the line there?"""
        return name not in self.gone

    def rejoin(self, name: str, *, within_s: float) -> None:
        """It is there again."""
        self.gone.discard(name)
        self.rejoined.append(name)

    def run(self, name: str, step: Step, *, number: int = 0) -> Answer:
        """One step."""
        self.ran.append(f"{name} {step.name}")
        return self.does(name, step)


def rotation(found: Plan, hosts: Hosts) -> Rotation:
    """One whose guards are not rendered."""
    return Rotation(found, hosts)  # type: ignore[arg-type]


def out(found: Plan, hosts: Hosts, name: str) -> Rotation:
    """A host that was taken out, and not brought back."""
    turned = rotation(found, hosts)
    for step in found.leaving(name):
        turned.begins(name, step)
        turned.ended(name, step)
    assert turned.out == {name}
    return turned


def test_who_is_out_comes_back_and_is_not_guarded_any_more() -> None:
    """In the order of the plan."""
    hosts = Hosts(fleet(*THREE), lambda name, step: Answer((("status", "UP"),)))
    turned = out(plan(hosts.hosts), hosts, "web2")
    turned.come_back("web2")
    assert (hosts.ran, turned.out) == (["web2 undrain", "web2 serving", "web2 unguard"], set())


def test_at_the_end_nobody_is_waited_for() -> None:
    """A host that is down is never seen up; it is ready all the same, for when it is there again."""
    hosts = Hosts(fleet(*THREE), lambda name, step: Answer((("status", "DOWN"),)))
    turned = out(plan(hosts.hosts), hosts, "web2")
    turned.everybody_back()
    assert (hosts.ran, turned.out) == (["web2 undrain", "web2 unguard"], set())


def test_who_cannot_come_back_stays_guarded() -> None:
    """So the balancer's host goes on trying; the end says that it is still out."""

    def down(name: str, step: Step) -> Answer:
        raise StepFailed(name, step.name, 69)

    hosts = Hosts(fleet(*THREE), down)
    turned = out(plan(hosts.hosts), hosts, "web2")
    turned.everybody_back()
    assert (hosts.ran, turned.out) == (["web2 undrain"], {"web2"})


def test_ctrl_c_while_everybody_is_brought_back_leaves_what_is_known_as_it_is() -> None:
    """Who may still be out is named, once; the next end of the same plan does not begin again."""
    said: list[str] = []

    def pressed(name: str, step: Step) -> Answer:
        raise KeyboardInterrupt

    hosts = Hosts(fleet(*THREE, balancer=COMMAND), pressed)
    hosts.say = lambda line, *_: said.append(str(line))  # type: ignore[method-assign]
    turned = out(plan(hosts.hosts), hosts, "web2")
    turned.everybody_back()
    turned.everybody_back()
    assert said == ["warning: interrupted: web2 may still be out of rotation"]
    assert (hosts.ran, turned.out) == (["web2 undrain"], {"web2"})


def test_the_line_to_a_balancer_is_opened_again_to_bring_somebody_back() -> None:
    """Its host has settled that by then, or does it now."""
    hosts = Hosts(fleet(*THREE, balancer=REMOTE), lambda name, step: Answer((("status", "UP"),)))
    turned = out(plan(hosts.hosts), hosts, "web1")
    hosts.gone.add(LB)
    turned.everybody_back()
    assert (hosts.rejoined, turned.out) == ([LB], set())


def test_hosts_that_come_back_at_once_open_the_line_to_their_balancer_once() -> None:
    """The second waits for the first to have it; it is not told that it cannot be reached."""
    hosts = Hosts(fleet(*THREE, balancer=REMOTE), lambda name, step: Answer((("status", "UP"),)))
    turned = out(plan(hosts.hosts), hosts, "web1")
    turned.out.add("web2")
    hosts.gone.add(LB)
    second = threading.Thread(target=turned.come_back, args=("web2",))
    rejoin = hosts.rejoin

    def slowly(name: str, *, within_s: float) -> None:
        second.start()
        second.join(0.2)  # as far as it gets
        rejoin(name, within_s=within_s)

    hosts.rejoin = slowly  # type: ignore[method-assign]
    turned.come_back("web1")
    second.join(30)
    assert (hosts.rejoined, turned.out) == ([LB], set())


def test_only_who_was_back_leaves_again_before_it_goes_back() -> None:
    """Who failed while it was out is out; who has not begun is none of it."""
    hosts = Hosts(fleet(*THREE, balancer=COMMAND))
    found = plan(hosts.hosts)
    turned = out(found, hosts, "web2")
    for step in (*found.leaving("web1"), *found.returning("web1")):
        turned.begins("web1", step)
        turned.ended("web1", step)
    for name in THREE:
        turned.leave_again(name)
    assert hosts.ran == ["web1 guard", "web1 drain"]
    assert turned.out == {"web1", "web2"}


def test_who_could_not_be_drained_is_not_waited_for() -> None:
    """Its connections would not end before drain_s is over, and the host has to go back."""

    def refuses(name: str, step: Step) -> Answer:
        if step.name == "drain":
            raise StepFailed(name, step.name, 69)
        return Answer()

    hosts = Hosts(fleet(*THREE), refuses)
    turned = rotation(plan(hosts.hosts), hosts)
    turned.returned.add("web1")
    turned.leave_again("web1")
    assert (hosts.ran, turned.out) == (["web1 guard", "web1 drain"], {"web1"})


def test_a_lenient_step_goes_on_when_its_patience_is_over() -> None:
    """Connections that never end do not stop a deploy."""
    hosts = Hosts(fleet(*THREE), lambda name, step: Answer((("connections", "3"),)))
    found = plan(hosts.hosts)
    carriage = Carriage(found, hosts, lambda *args: None)  # type: ignore[arg-type]
    (step,) = (s for s in found.leaving("web1") if s.name == "drained")
    carriage.work.stopping.set()
    verdict = carriage.stepper._judged("web1", step)
    assert verdict.note == "3 connections left"


def test_a_line_that_drops_to_the_balancer_is_not_one_that_drops_to_the_host() -> None:
    """The host itself can still be taken back."""
    hosts = Hosts(fleet(*THREE))
    carriage = Carriage(plan(hosts.hosts), hosts, lambda *args: None)  # type: ignore[arg-type]
    carriage.work.failed = {
        "web1": OutcomeUnknown(LB, "drain", "cut"),
        "web2": OutcomeUnknown("web2", "publish", "cut"),
    }
    aftermath = carriage._aftermath()
    assert [aftermath._is_gone(name) for name in THREE] == [False, True, False]
