"""What is to be shipped and what was found on the hosts → a plan."""

from collections.abc import Callable

import pytest

from releases.config import Config
from releases.deploy import Shipment, deploy, redeploy
from releases.errors import Refused
from releases.plan import Phase, Plan
from releases.steps import command
from tests.hosts import ANA, A, B, C, config, host, live, manifest

NEW = Shipment(B, manifest("a", "b"), "1f0e", "Say hello")


def names(found, name: str = "web1") -> list[str]:  # type: ignore[no-untyped-def]
    return [step.label for step in found.steps[name]]


def test_a_static_site_needs_these_steps_and_no_others() -> None:
    """The thinnest deploy."""
    assert names(deploy((host(),), NEW, ANA)) == [
        "begin", "stage", "send", "check", "seal", "arm", "publish", "prove", "settled", "confirm", "finish",
    ]  # fmt: skip


def test_every_part_of_deploy_toml_has_its_place_in_the_plan() -> None:
    """Expand before rehearsal, an instance before the rename, a worker after it."""
    settings = config(
        shared={"files": [".env"]},
        prepare={"commands": ["make"]},
        migrations={"kind": "command", "pending": "p", "expand": "e"},
        processes={
            "web": {"kind": "systemd", "command": "serve", "listen": "127.0.0.1:8000", "health": "/health"},
            "worker": {"kind": "systemd", "command": "work"},
        },
        hooks={"before_switch": ["bin/before"], "after_switch": ["bin/after"]},
    )
    found = host(A, complete=[A], journal=[live(1, A)], settings=settings)
    assert names(deploy((found,), NEW, ANA)) == [
        "begin", "stage", "send", "check", "link", "prepare", "seal", "pending", "expand", "probe", "rehearse web",
        "before_switch", "arm", "start web", "publish", "start worker", "after_switch", "prove", "settled", "confirm",
        "retire web", "retire worker", "finish",
    ]  # fmt: skip


def test_nothing_is_switched_before_all_is_staged_and_rehearsed() -> None:
    """Phases come in order."""
    phases = [step.phase for step in deploy((host(),), NEW, ANA).steps["web1"]]
    assert phases == sorted(phases)


def test_what_is_live_already_is_only_proven_again() -> None:
    """Unless it is forced."""
    shipment = Shipment(B, NEW.manifest, bases={"web1": NEW.manifest})
    found = (host(A, complete=[A], journal=[live(1, A)]),)
    plan = deploy(found, shipment, ANA)
    assert (plan.verb, names(plan)) == ("already_live", ["prove", "settled"])
    assert plan.steps["web1"][0].phase < Phase.SWITCH
    assert "publish" in names(deploy(found, shipment, ANA, force=True))


def test_only_what_changed_is_sent() -> None:
    """And the plan says how much."""
    shipment = Shipment(B, manifest("a", "b"), bases={"web1": manifest("a")})
    plan = deploy((host(A, complete=[A], journal=[live(1, A)]),), shipment, ANA)
    assert plan.steps["web1"][2].says == f"send 1 path, 1 B; link 1 file that {A} has already"


def test_commands_that_run_in_a_release_get_copies_and_no_links() -> None:
    """A chmod of theirs must not reach the release that is live."""
    prepared = config(prepare={"commands": ["make"]})
    linked, copied = (deploy((host(settings=s),), NEW, ANA).steps["web1"][3] for s in (config(), prepared))
    assert (linked.values["copies"], copied.values["copies"]) == (False, True)


def test_a_changed_environment_file_replaces_processes() -> None:
    """A reload would keep what the old environment loaded."""
    settings = config(
        prepare={"commands": ["make"], "environment": ["a"]},
        processes={"web": {"kind": "gunicorn", "unit": "w.service"}},
    )
    found = host(A, complete=[A], journal=[live(1, A)], settings=settings)
    for base, replaced in ((manifest("a"), False), (manifest("b"), True)):
        plan = deploy((found,), Shipment(B, NEW.manifest, bases={"web1": base}), ANA)
        reload = next(step for step in plan.steps["web1"] if step.name == "reload")
        assert reload.values["replace"] is replaced


def test_the_number_is_one_more_than_any_host_has_seen() -> None:
    """Hosts may differ."""
    found = (host(A, complete=[A], journal=[live(4, A)], name="web1"), host(name="web2"))
    assert deploy(found, NEW, ANA).number == 5


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"root": "missing"}, "/srv/shop does not exist"),
        ({"root": "file"}, "is a file"),
        ({"root": "readonly"}, "deploy may not write in /srv/shop"),
        ({"live_kind": "other"}, "is not a link"),
        ({"live": "/var/www/old"}, "points to /var/www/old"),
        ({"missing": ".env"}, "shared/.env is missing"),
        ({"tool": ("curl", "flock")}, "has no tar"),
        ({"free_kib": "1"}, "are free"),
        ({"free_inodes": "3"}, "inodes are needed"),
    ],
)
def test_what_cannot_be_safe_is_refused_with_the_host_and_the_reason(answers: dict[str, str], words: str) -> None:
    """Exit 10, and nothing was changed."""
    with pytest.raises(Refused, match=f"^web1: .*{words}") as caught:
        deploy((host(**answers),), NEW, ANA)
    assert caught.value.exit_code == 10


def test_a_release_that_is_there_is_verified_and_switched_to_without_a_bad_mark() -> None:
    """``deploy --release ID``."""
    found = host(A, complete=[A, B], journal=[live(1, B), live(2, A)])
    plan = redeploy((found,), B, ANA)
    assert names(plan)[:3] == ["begin", "verify", "arm"]
    assert plan.verb == "deploy"


def test_a_release_that_a_host_lacks_is_sent_from_one_that_has_it() -> None:
    """Linked, prepared and sealed there as any that is shipped; the plan says from where."""
    settings = config(shared={"files": [".env"]}, prepare={"commands": ["make"]})
    has = host(A, complete=[A, B], journal=[live(1, A)], name="web1", settings=settings)
    lacks = host(A, complete=[A], journal=[live(1, A)], name="web2", settings=settings)
    copy = Shipment(B, manifest("a", "b"), "1f0e", bases={"web2": manifest("a")}, source="web1")
    plan = redeploy((has, lacks), B, ANA, copy=copy)
    assert names(plan, "web1")[:3] == ["begin", "verify", "arm"]
    assert names(plan, "web2")[:8] == ["begin", "stage", "send", "check", "link", "prepare", "seal", "arm"]
    assert plan.steps["web2"][2].says == f"send 1 path, 1 B, from web1; link 1 file that {A} has already"
    with pytest.raises(Refused, match="are free"):
        redeploy((has, host(A, name="web2", settings=settings, free_kib="1")), B, ANA, copy=copy)


def test_a_release_that_no_host_has_is_refused() -> None:
    """With the command that lists them."""
    with pytest.raises(Refused, match="no complete release"):
        redeploy((host(A, complete=[A]),), B, ANA)


def test_a_plan_warns_of_programs_that_were_compiled_for_another_machine() -> None:
    """Only a rehearsal would tell, if there is one."""
    notes = deploy((host(machine="aarch64"),), Shipment(B, manifest("a"), compiled={"x86_64": "a"}), ANA).notes
    assert notes == ("web1 is aarch64, but the build has programs for other machines: a for x86_64",)


def test_an_environment_file_that_is_not_shipped_is_told() -> None:
    """Mistyped, it would let a reload keep old dependencies, and nobody would know."""
    settings = config(prepare={"commands": ["make"], "environment": ["a", "requirement.txt"]})
    notes = deploy((host(settings=settings),), Shipment(B, manifest("a")), ANA).notes
    assert notes == ("prepare.environment: requirement.txt is not shipped, so it never changes",)


def test_the_same_content_under_two_names_becomes_one_release() -> None:
    """What is live everywhere by its digest may differ by its ID: no proof could hold on all."""
    shipped = manifest("a")
    same = {"web1": shipped, "web2": shipped}
    hosts = tuple(host(r, complete=[r], journal=[live(1, r)], name=n) for r, n in ((A, "web1"), (B, "web2")))
    assert deploy(hosts, Shipment(C, shipped, bases=same), ANA).verb == "deploy"
    assert deploy(hosts[:1], Shipment(C, shipped, bases=same), ANA).verb == "already_live"


def test_where_commands_run_in_the_release_the_plan_says_that_it_is_made_of_copies() -> None:
    """P11: whoever has added them: a kind of process, a hook, or a step of the team's own."""
    plain, reloads = config(), config(processes={"web": {"kind": "command", "reload": "r", "prove": "p"}})

    def says(settings: Config, edit: Callable[[Plan], Plan] = lambda plan: plan) -> bool:
        found = host(A, complete=[A], journal=[live(1, A)], settings=settings)
        plan = edit(deploy((found,), Shipment(B, manifest("a")), ANA))
        (check,) = (step for step in plan.steps["web1"] if step.name == "check")
        assert check.values["copies"] == ("copies" in check.says)
        return bool(check.values["copies"])

    assert [says(plain), says(reloads)] == [False, True]
    assert says(plain, lambda plan: plan.after("publish", command("bin/warm")))
