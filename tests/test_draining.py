"""Which hosts leave the rotation of their balancer, and at which step: a plan in, a plan out."""

import io
from dataclasses import replace

import pytest

from releases.answer import Answer
from releases.deploy import Shipment, deploy
from releases.errors import Refused, UsageError
from releases.fleet import Fleet
from releases.plan import HERE, LEAVING, RETURNING, Plan
from releases.report import Report
from releases.rollback import rollback
from releases.surveyed import Surveyed
from releases.tables import status
from tests.hosts import ANA, A, B, C, config, host, live, manifest

THREE = ("web1", "web2", "web3")
HAPROXY = {"kind": "haproxy", "socket": "/run/haproxy.sock", "backend": "web"}
REMOTE = {**HAPROXY, "host": "deploy@lb1", "root": "/srv/lb", "wait_s": 0.1}
FILE = {"kind": "file", "path": "drain"}
COMMAND = {"kind": "command", "drain": "lb out", "undrain": "lb in"}


def fleet(
    *names: str, balancer: object = REMOTE, new: tuple[str, ...] = (), kind: str = "rolling"
) -> tuple[Surveyed, ...]:
    """Hosts on which A is live, but for the new ones."""
    settings = config(strategy={"kind": kind}, balancer=balancer)
    return tuple(
        host(None if n in new else A, complete=[A], journal=[live(1, A)], settings=settings, name=n) for n in names
    )


def plan(hosts: tuple[Surveyed, ...]) -> Plan:
    return deploy(hosts, Shipment(B, manifest("a")), ANA)


def rotation(found: Plan, name: str = "web1") -> list[str]:
    """The steps from the arm to the confirmation."""
    names = [s.name for s in found.steps[name]]
    return names[names.index("arm") : names.index("confirm")]


def drained(found: Plan) -> list[str]:
    return [name for name, steps in found.steps.items() if any(s.name == "drain" for s in steps)]


def test_a_host_leaves_behind_its_arm_and_is_back_before_the_last_proof() -> None:
    """So that a death is settled from the first drain on, and the last proof is made under traffic."""
    found = plan(fleet(*THREE))
    around = ["arm", "guard", "drain", "drained", "publish", "prove", "undrain", "serving", "unguard", "settled"]
    assert [rotation(found, name) for name in THREE] == [around] * 3
    told = [s for s in found.steps["web1"] if s.name in (*LEAVING, *RETURNING)]
    assert {s.via for s in told} == {"balancer lb1:/srv/lb"}
    assert {s.values["root"] for s in told} == {told[0].values["root"]} != {"/srv/shop"}


def test_a_balancer_on_the_host_itself_needs_no_arm_of_its_own() -> None:
    """What takes the switch back there brings the host back, too, as its last."""
    for balancer in (HAPROXY, FILE):
        found = plan(fleet(*THREE, balancer=balancer))
        assert rotation(found) == ["arm", "drain", "drained", "publish", "prove", "undrain", "serving", "settled"]
        assert [step.name for step in found.takes_back("web1")] == ["publish", "undrain"]


def test_what_was_done_elsewhere_the_host_does_not_undo() -> None:
    """It cannot: the balancer's host does, or the next command."""
    for balancer in (REMOTE, COMMAND):
        assert [step.name for step in plan(fleet(*THREE, balancer=balancer)).takes_back("web1")] == ["publish"]


def test_commands_of_the_team_run_here_between_two_marks_on_the_host() -> None:
    """A dead deploy leaves the mark, which the next one sees."""
    found = plan(fleet(*THREE, balancer=COMMAND))
    assert rotation(found) == ["arm", "guard", "drain", "publish", "prove", "undrain", "unguard", "settled"]
    where = {s.name: s.via for s in found.steps["web1"] if s.name in (*LEAVING, *RETURNING)}
    assert where == {"guard": "", "drain": HERE, "undrain": HERE, "unguard": ""}


def test_with_all_at_once_nobody_is_drained_and_the_plan_says_so() -> None:
    """Or nobody would be left to serve."""
    found = plan(fleet(*THREE, kind="all"))
    assert drained(found) == []
    assert [note for note in found.notes if note.startswith("balancer: nobody is drained")]
    assert not [note for note in plan(fleet(*THREE)).notes if note.startswith("balancer: ")]


@pytest.mark.parametrize("balancer", [REMOTE, FILE, COMMAND])
def test_a_host_where_nothing_is_live_yet_only_joins(balancer: object) -> None:
    """Even with all at once."""
    found = plan(fleet(*THREE, balancer=balancer, new=("web2",), kind="all"))
    assert drained(found) == []
    assert next(s.name for s in found.steps["web2"] if s.name in (*LEAVING, *RETURNING)) == "undrain"
    assert not [s for s in found.steps["web2"] if s.name in ("guard", "unguard")]
    assert rotation(found, "web1") == ["arm", "publish", "prove", "settled"]


FOUND = [
    (REMOTE, ("server", "web1 DRAIN")),
    ({"kind": "nginx", "include": "/etc/nginx/servers", "host": "lb1", "root": "/srv/lb"}, ("server", "web1 down")),
    (FILE, ("state", "down")),
]


@pytest.mark.parametrize(("balancer", "said"), FOUND)
def test_who_is_found_out_of_rotation_comes_back_even_where_nobody_is_drained(
    balancer: object, said: tuple[str, str]
) -> None:
    """A deploy that died has left it so, and nobody else would bring it back."""
    one, *others = fleet(*THREE, kind="all", balancer=balancer)
    servers = (("server", f"{name} up") for name in THREE[1:])
    found = plan((replace(one, rotation=Answer((said, *servers))), *others))
    assert drained(found) == []
    assert next(name for name in rotation(found) if name in (*LEAVING, *RETURNING)) == "undrain"
    assert "unguard" not in rotation(found)
    assert rotation(found, "web2") == ["arm", "publish", "prove", "settled"]
    assert "web1: it is out of rotation, and is brought back" in found.notes


def test_the_only_host_that_serves_is_drained_once_another_has_joined() -> None:
    """The new one goes first, as who is ill does."""
    assert drained(plan(fleet("web1", "web2", new=("web2",)))) == ["web1"]
    found = plan(fleet("web1", "web2", new=("web1", "web2")))
    assert drained(found) == []


def test_canaries_leave_while_the_rest_serves() -> None:
    """And the rest while they do."""
    assert drained(plan(fleet(*THREE, kind="canary"))) == list(THREE)


@pytest.mark.parametrize(("balancer", "leaves"), [(REMOTE, ["web1"]), (FILE, []), (COMMAND, [])])
def test_who_is_deployed_alone_is_drained_by_a_balancer_that_knows_of_others(balancer: object, leaves: object) -> None:
    """It does not when nobody else is up."""
    assert drained(plan(fleet("web1", balancer=balancer))) == leaves


def test_who_is_in_maintenance_stays_there() -> None:
    """Somebody has put it there; the plan says so."""
    one, *others = fleet(*THREE)
    told = Answer((("server", "web1 MAINT"), ("server", "web2 UP"), ("server", "web3 UP")))
    found = plan((replace(one, rotation=told), *(replace(other, rotation=told) for other in others)))
    assert drained(found) == ["web2", "web3"]
    assert "undrain" not in rotation(found, "web1")
    assert "web1: web1 is in maintenance at haproxy, and stays so" in found.notes


def test_a_balancer_that_cannot_do_its_part_is_one_of_the_problems() -> None:
    """So a deploy is refused before anything is staged, and doctor lists it with all others."""
    one, *others = fleet(*THREE)
    ill = replace(one, rotation=Answer((("unreachable", "Connection refused"),)))
    assert [str(p) for p in ill.problems()] == ["balancer lb1:/srv/lb: haproxy cannot be reached: Connection refused"]
    with pytest.raises(Refused, match="Connection refused"):
        plan((*others, ill))


def test_two_hosts_that_would_be_one_server_are_refused() -> None:
    """They would be drained and undrained for each other."""
    hosts = fleet("web1", "web2", balancer={**REMOTE, "server": "web"})
    with pytest.raises(UsageError, match="web would be both web1 and web2") as refused:
        plan(hosts)
    assert "[hosts.NAME.balancer]" in refused.value.hint


def test_a_rollback_drains_as_a_deploy_does() -> None:
    """The same switch."""
    settings = config(strategy={"kind": "rolling"}, balancer=REMOTE)
    known = {"complete": [A, C], "journal": [live(1, A), live(2, C, A)], "settings": settings}
    found = rollback(tuple(host(C, name=n, **known) for n in THREE), ANA)  # type: ignore[arg-type]
    assert drained(found) == list(THREE)


def test_who_was_left_out_by_a_dead_deploy_is_named() -> None:
    """It is brought back before anything else."""
    settings = config(balancer=COMMAND)
    (found,) = (host(A, complete=[A], journal=[live(1, A)], settings=settings, drained="7"),)
    assert "web1: deploy 7 left it out of rotation; it is brought back first" in plan((found,)).notes


@pytest.mark.parametrize("balancer", [None, REMOTE])
def test_a_mark_whose_command_is_no_longer_known_is_told_with_its_end(balancer: object) -> None:
    """What deploy.toml says by now would bring back nobody, and the mark would never go."""
    found = host(A, complete=[A], journal=[live(1, A)], settings=config(balancer=balancer), drained="7")
    ran: list[str] = []
    fleet = Fleet((), report := Report(err=io.StringIO()), ANA)
    fleet.run = lambda name, step, **more: ran.append(step.name) or Answer()  # type: ignore[method-assign,func-returns-value,assignment]
    fleet._bring_back(found)
    says = "its `undrain` is in deploy.toml no more: bring it back by hand, then `rm /srv/shop/.switchover/drained`"
    assert says in report.err.getvalue()  # type: ignore[attr-defined]
    assert [note for note in plan((found,)).notes if note == f"web1: deploy 7 left it out of rotation; {says}"]
    assert says in status(found)["note"]
    assert not ran
