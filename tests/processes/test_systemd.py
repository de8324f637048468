"""systemd: one instance per start of a release, judged by unit and control group."""

from pathlib import PurePosixPath

import pytest

from releases import units
from releases.facts import Facts
from releases.processes.kind import Kind, Switch
from releases.processes.systemd import Systemd
from releases.proofs import prove
from releases.scripts import render
from tests.hosts import A, B, config, host

SETTINGS = config(
    processes={
        "web": {
            "kind": "systemd",
            "command": "serve it",
            "listen": "127.0.0.1:8000",
            "health": "/health",
            "before_stop": "bye",
        },
        "worker": {"kind": "systemd", "command": "work"},
    }
)
SWITCH = Switch(PurePosixPath("/srv/shop"), 7, B, A)


def found(*instances: str, running: tuple[str, ...] = (), **answers: str) -> tuple[Kind, Facts]:
    told = {f"web.{key}": value for key, value in {"socket": "active", **answers}.items()}
    surveyed = host(A, complete=[A, B], settings=SETTINGS, process=running, **{"web.instance": instances}, **told)
    return surveyed.kinds[0], surveyed.facts


def instance(release: object, active: str = "active", restarts: int = 0, main: int = 11) -> str:
    return f"shop-web@{release}.7.service {active} running {main} {restarts} {main},{main + 1}"


def test_an_active_instance_that_was_never_restarted_is_proven() -> None:
    """The old one may run beside it."""
    kind, facts = found(instance(A, main=5), instance(B))
    assert kind.proof(B, facts)


@pytest.mark.parametrize(
    ("instances", "running", "why"),
    [
        ((instance(A),), (), "no steady instance"),
        ((instance(B, restarts=1),), (), "restarted 1 times"),
        ((instance(B, active="failed"),), (), "none is active"),
        ((instance(B),), (f"12 11 3 shop-web@{B}.7.service python {A},{B} {B}",), f"process 12 uses {A}"),
    ],
)
def test_what_is_not_seen_running_the_release_is_not_proven(
    instances: tuple[str, ...], running: tuple[str, ...], why: str
) -> None:
    """P3."""
    kind, facts = found(*instances, running=running)
    assert why in kind.proof(B, facts).why


def test_a_crash_of_long_ago_does_not_keep_what_is_live_from_being_proven() -> None:
    """It was started again, and no switch is at work; the second look sees whether it still crashes."""
    kind, facts = found(instance(B, restarts=1), started="none")
    assert kind.proof(B, facts)
    assert not kind.same(B, facts.answer, found(instance(B, restarts=2, main=30), started="none")[1].answer)


def test_processes_are_the_same_only_while_the_main_process_lives_on() -> None:
    """What crashes after its boot is caught by the second look."""
    kind, then = found(instance(B))
    assert kind.same(B, then.answer, found(instance(B))[1].answer)
    assert not kind.same(B, then.answer, found(instance(B, restarts=1, main=30))[1].answer)
    assert not kind.same(B, then.answer, found()[1].answer)


def test_a_server_starts_before_the_rename_and_a_worker_after_it() -> None:
    """A worker takes real jobs at once."""
    asked = host(settings=SETTINGS)
    for kind, wanted in zip(asked.kinds, ([["start"], []], [[], ["start"]]), strict=True):
        steps = (kind.before(SWITCH), kind.after(SWITCH, asked.facts))
        assert [[step.name for step in each] for each in steps] == wanted


def test_taking_back_stops_the_new_instance_and_nothing_else() -> None:
    """The old one still serves."""
    step = host(settings=SETTINGS).kinds[0].before(SWITCH)[0]
    assert step.undo
    assert (step.undo.template, step.undo.values["process"]["instance"]) == ("systemd/stop", f"{B}.7")  # type: ignore[index]


def test_the_release_carries_what_starts_and_stops_it() -> None:
    """So that a rollback starts a release as it was."""
    files = host(settings=SETTINGS).kinds[0].files()
    assert list(files) == [".release/web", ".release/web.stop"]
    assert files[".release/web"].endswith(b"exec serve it\n")


def test_units_that_are_not_as_deploy_toml_wants_them_are_refused() -> None:
    """Set up once more."""
    kind = Systemd("web", "shop", SETTINGS.root, SETTINGS.processes["web"], digest="new")  # type: ignore[arg-type]
    _, facts = found(units="old")
    assert "`inv setup`" in " ".join(kind.conditions(facts))
    assert not list(kind.conditions(found(units="new")[1]))


def test_the_units_on_the_host_are_hashed_in_the_order_in_which_they_are_made() -> None:
    """Or a host would never be as it is wanted."""
    for kind in host(settings=SETTINGS).kinds:
        assert isinstance(kind, Systemd)
        assert tuple(units.units(kind, units.Account("deploy", "deploy"))) == kind.unit_files


@pytest.mark.parametrize("listen", ["127.0.0.1:8000", "/run/shop.sock"])
def test_what_is_live_already_is_asked_where_clients_ask(listen: str) -> None:
    """There is no instance of this deploy, and no private socket of one."""
    settings = config(
        processes={"web": {"kind": "systemd", "command": "x", "listen": listen, "health": "/health", "drain_s": 1}}
    )
    kinds = host(settings=settings).kinds
    again = render(prove(settings, B, kinds, None, wait_s=1))
    if listen.startswith("/"):
        assert f"\nsocket={listen}\n" in again
    else:
        assert f"ask http://{listen}/health " in again
    assert "ask http://localhost/health " in render(prove(settings, B, kinds, SWITCH, wait_s=1))


def test_a_worker_needs_no_sockets() -> None:
    """Two units instead of six."""
    web, worker = host(settings=SETTINGS).kinds
    assert isinstance(web, Systemd)
    assert isinstance(worker, Systemd)
    assert (len(web.unit_files), len(worker.unit_files)) == (6, 2)


@pytest.mark.parametrize(("wait_s", "limit"), [(30, "300"), (86400, "86430")])
def test_a_rehearsal_ends_by_itself_when_nobody_ends_it(wait_s: int, limit: str) -> None:
    """Not before its time is over; what serves has no such limit."""
    web = {"kind": "systemd", "command": "x", "listen": "127.0.0.1:1", "health": {"url": "/", "wait_s": wait_s}}
    (kind,) = host(settings=config(processes={"web": web})).kinds
    assert isinstance(kind, Systemd)
    limited = {
        name for name, text in units.units(kind, units.Account()).items() if f"\nRuntimeMaxSec={limit}\n" in text
    }
    assert limited == {"shop-web-rehearsal@.service"}


def test_a_user_manager_that_ends_with_the_session_is_refused() -> None:
    """The session itself starts one, so that it runs says nothing."""
    kind, facts = found(manager="absent")
    (why,) = kind.conditions(facts)
    assert "sudo loginctl enable-linger deploy" in why
    assert 'kind = "gunicorn"' in why
    kind, facts = found(linger="no")
    assert "sudo loginctl enable-linger deploy" in " ".join(kind.conditions(facts))
    assert not list(kind.conditions(found(linger="yes")[1]))


def test_a_private_socket_is_for_the_primary_group_of_who_deploys() -> None:
    """Which need not be called as the account is."""
    web = {"kind": "systemd", "command": "x", "listen": "127.0.0.1:1", "scope": "system"}
    (kind,) = host(settings=config(processes={"web": web})).kinds
    assert isinstance(kind, Systemd)
    made = units.units(kind, units.Account("deploy", "users"))
    assert "\nSocketGroup=users\n" in made["shop-web-private@.socket"]


def test_thirty_days_to_drain_are_written_as_systemd_reads_them() -> None:
    """An exponent is ignored with a warning, and a job is killed after 90 s."""
    settings = config(processes={"worker": {"kind": "systemd", "command": "x", "drain_s": 30 * 86400}})
    (kind,) = host(settings=settings).kinds
    assert isinstance(kind, Systemd)
    assert "\nTimeoutStopSec=2592000\n" in units.units(kind, units.Account())["shop-worker@.service"]


@pytest.mark.parametrize("name", ["web-private", "web-rehearsal"])
def test_a_process_whose_units_would_be_those_of_another_is_refused(name: str) -> None:
    """Beside ``web``, whose private and rehearsal units have these names."""
    with pytest.raises(ValueError, match="-private or -rehearsal"):
        config(processes={name: {"kind": "systemd", "command": "x"}})
