"""What every release holds beside the build, whichever hosts it goes to."""

import pytest

from releases.config import Target
from releases.errors import UsageError
from releases.operations import shipped_files
from tests.hosts import config


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
