"""command: what runs on the controller, and the mark that a host keeps meanwhile."""

from pathlib import Path, PurePosixPath

import pytest

from releases.balancers.kinds import balancer
from releases.balancing import called
from releases.errors import CommandFailed
from releases.facts import Facts
from releases.fleet import Fleet
from releases.plan import HERE, Step
from releases.report import Report
from releases.switching import Author
from tests.hosts import NOW, config
from tests.scripts.running import Here


def steps(root: Path, **more: object) -> tuple[Step, ...]:
    """In their order."""
    settings = {"kind": "command", "drain": "lb out", "undrain": "lb in", "server": "{short}:80", **more}
    found = balancer("web1", "deploy@web1.example.com:2222", config(balancer=settings, root=PurePosixPath(root)))
    assert found
    assert found.check() is None
    return (*found.drain(7), *found.undrain(7))


def test_the_mark_is_there_while_the_host_is_out(here: Here) -> None:
    """A survey sees it, and of which deploy it is; the journal has both."""
    guard, _, _, unguard = steps(here.root)
    for _ in range(2):
        assert here.run(guard).code == 0
    survey = here.step("survey", expected=(), environment=(), processes=())
    assert Facts.of("web1", here.run(survey).answer, now=NOW).drained == "7"
    for _ in range(2):
        assert here.run(unguard).code == 0
    assert Facts.of("web1", here.run(survey).answer, now=NOW).drained == ""
    assert here.journal.count('{"event":"drained","deploy":7,"server":"web1:80"') == 2
    assert here.journal.count('{"event":"undrained","deploy":7,"server":"web1:80"') == 2


def test_a_mark_that_a_power_cut_has_emptied_is_one(here: Here) -> None:
    """P2: the host is out of rotation all the same. Ours is written before it has its name."""
    (here.private / "drained").touch()
    survey = here.step("survey", expected=(), environment=(), processes=())
    assert Facts.of("web1", here.run(survey).answer, now=NOW).drained == "?"
    assert here.run(steps(here.root)[0]).code == 0
    assert Facts.of("web1", here.run(survey).answer, now=NOW).drained == "7"
    assert not list(here.private.glob("drained.*"))


def test_a_command_knows_whom_it_is_about(tmp_path: Path) -> None:
    """By the name of the host, and by what the balancer calls it."""
    out = steps(tmp_path, drain=f'echo "$HOST $SERVER" >{tmp_path}/said')[1]
    assert out.via == HERE
    Fleet((), Report(), Author("ana", "laptop")).run("web1", out)
    assert (tmp_path / "said").read_text() == "web1.example.com web1:80\n"


def test_a_command_that_fails_or_hangs_fails_its_step(tmp_path: Path) -> None:
    """With its name and how it ended."""
    fleet = Fleet((), Report(), Author("ana", "laptop"))
    with pytest.raises(CommandFailed, match="web1: drain web1:80: `exit 3` failed: exit 3"):
        fleet.run("web1", steps(tmp_path, drain="exit 3")[1])
    with pytest.raises(CommandFailed, match=r"was not done after 0\.1 s"):
        fleet.run("web1", steps(tmp_path, drain="sleep 60", timeout_s=0.1)[1])


def test_a_host_is_called_as_the_pattern_says() -> None:
    """Its name in deploy.toml, or what stands before the first dot."""
    assert called("{host}", "2001:db8::1") == "2001:db8::1"
    assert called("[{host}]:8000", "2001:db8::1") == "[2001:db8::1]:8000"
