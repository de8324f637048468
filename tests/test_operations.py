"""What every release holds beside the build, whichever hosts it goes to; and which commands a strategy can refuse."""

from pathlib import Path

import pytest

from releases.config import Target
from releases.dialing import Dialing
from releases.errors import UsageError
from releases.operations import Operations, shipped_files
from releases.report import Report
from releases.selection import Selection
from releases.surveyed import Surveyed
from tests.hosts import A, B, config, host, live


def target(name: str, **more: object) -> Target:
    return Target.at(f"deploy@{name}", group="prod", config=config(**more))


def process(name: str, command: str) -> dict[str, object]:
    return {"processes": {name: {"kind": "systemd", "command": command}}}


def test_a_release_starts_the_processes_of_every_host() -> None:
    """Each host runs its own; the release is one."""
    found = shipped_files((target("a", **process("web", "serve")), target("b", **process("worker", "work"))))
    assert [sorted(found), b"exec work" in found[".release/worker"]] == [[".release/web", ".release/worker"], True]


def test_what_prepares_a_release_makes_another_one_of_it() -> None:
    """All of it is shipped, as hosts may prepare differently."""
    one, two = ({"prepare": {"commands": commands}} for commands in (["make"], ["make", "make more"]))
    assert shipped_files((target("a", **one), target("b", **two)))[".release/prepare"] == b"make\nmake more\n"


@pytest.mark.parametrize(
    ("one", "two", "why"),
    [
        (process("web", "serve"), process("web", "serve -w 9"), "b: the process web is started in another way"),
        ({"build": {"output": "x"}}, {}, r"a and b are to get another \[build\]"),
    ],
)
def test_hosts_that_need_another_release_are_refused(one: dict[str, object], two: dict[str, object], why: str) -> None:
    """One deploy is one release."""
    with pytest.raises(UsageError, match=why) as caught:
        shipped_files((target("a", **one), target("b", **two)))
    assert caught.value.hint


def test_a_static_site_has_none_of_it() -> None:
    """But what was built."""
    assert shipped_files((target("a"),)) == {}


TWO = config(strategy={"kind": "canary", "hosts": ["web9"], "hold": True})
CANARY = f'{{"event":"canary","deploy":2,"release":"{B}","previous":"{A}","hosts":["web1"]}}'


def operations(monkeypatch: pytest.MonkeyPatch, *hosts: Surveyed) -> Operations:
    """What can be done to *hosts*, whose strategy names one that is none of them."""
    monkeypatch.setattr(Operations, "survey", lambda self, **_: hosts)
    targets = tuple(Target.at(host.address, group="prod", config=TWO) for host in hosts)
    return Operations(Selection(Path(), targets, (), Dialing()), Report())


def test_who_goes_back_or_decides_is_not_kept_from_it_by_a_strategy_that_does_not_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A host that a deploy could not do without may be gone just then."""
    journal = [live(1, A), live(2, B, A)]
    both = (host(B, complete=[A, B], journal=journal, name=name, settings=TWO) for name in ("web1", "web2"))
    assert operations(monkeypatch, *both).plan_rollback(dry_run=True).release == A
    web1 = host(B, complete=[A, B], journal=[*journal, CANARY], name="web1", settings=TWO)
    web2 = host(A, complete=[A, B], journal=[live(1, A), CANARY], name="web2", settings=TWO)
    asked = operations(monkeypatch, web1, web2)
    assert asked.plan_deploy(promote=True, dry_run=True).release == B
    assert asked.plan_deploy(abort_canary=True, dry_run=True).release == A
    with pytest.raises(UsageError, match="web9 is none of the hosts"):
        asked.plan_deploy(release=B.name, dry_run=True)
