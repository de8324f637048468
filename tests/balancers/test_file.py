"""file: it lies below shared/ while the host is out of rotation; each trouble by its name."""

from pathlib import PurePosixPath

import pytest

from releases import steps as tell
from releases.arming import armed
from releases.balancers.kind import marked
from releases.balancers.kinds import balancer
from releases.plan import Plan, Step
from releases.processes.kind import Switch
from tests.app import until
from tests.conftest import require
from tests.hosts import config
from tests.scripts.running import A, B, Here


def steps(here: Here, path: str = "state/drain", **more: object) -> dict[str, Step]:
    """Each step by its name."""
    settings = {"kind": "file", "path": path, "drain_s": 0.1, "wait_s": 0.1, **more}
    found = balancer("web1", "web1", config(balancer=settings, root=PurePosixPath(here.root)))
    assert found
    each = (found.check(), found.ask(), *found.drain(7), *found.undrain(7))
    return {step.name: step for step in each if step}


def problem(here: Here, path: str) -> str:
    """What is told of it."""
    found = balancer("web1", "web1", config(balancer={"kind": "file", "path": path}, root=PurePosixPath(here.root)))
    assert found
    ran = here.run(steps(here, path)["check"])
    assert ran.code == 0, ran.err
    return str(found.problem(ran.answer) or "")


def test_it_is_there_while_the_host_is_out(here: Here) -> None:
    """Twice changes nothing; its directory is made."""
    each, path = steps(here), here.root / "shared" / "state" / "drain"
    assert problem(here, "state/drain") == ""
    for name in ("drain", "drain", "drained"):
        assert here.run(each[name]).code == 0
        assert path.read_text() == ""
    assert marked(here.run(each["state"]).answer) == "drained"
    assert here.run(each["check"]).answer.one("state") == "down"
    for name in ("undrain", "undrain", "serving"):
        assert here.run(each[name]).code == 0
        assert not path.exists()
    assert marked(here.run(each["state"]).answer) == "in rotation"


def test_the_arm_of_the_host_brings_it_back(here: Here) -> None:
    """P2: after the link, as the last that is undone."""
    here.release(A)
    here.release(B)
    here.publish(A)
    each, switch, path = steps(here), Switch(here.layout.root, 7, B, A), here.root / "shared" / "state" / "drain"
    publish = tell.publish(here.layout, B, A)
    plan = Plan("deploy", 7, B, A, {"web1": (tell.arm(switch), each["drain"], publish)})
    with here.session() as deployer:
        for step in (armed(plan, "web1", tell.arm(switch), switch), each["drain"], publish):
            assert deployer.run(step).code == 0
        assert (path.exists(), here.live) == (True, f"releases/{B}")
    until(lambda: not path.exists(), what="the host in rotation")
    assert here.live == f"releases/{A}"


@pytest.mark.parametrize("step", ["drained", "serving"])
def test_the_balancer_gets_its_time(here: Here, step: str) -> None:
    """It asks only now and then; the limit of the step is beyond it."""
    found = steps(here, drain_s=77, wait_s=77)[step]
    assert (found.values["wait_s"], found.timeout_s > 77) == ("77", True)


def test_what_cannot_be_made_is_told_in_one_line(here: Here) -> None:
    """Something is in its place, or in that of its directory."""
    (here.root / "shared" / "media").mkdir()
    (here.root / "shared" / ".env").touch()
    assert problem(here, "media") == "web1: shared/media is a directory"
    assert problem(here, ".env/drain") == f"web1: shared/.env/drain cannot be made: {here.root}/shared/.env is a file"


def test_what_may_not_be_made_is_told(account: Here) -> None:
    """By whom, and where."""
    require("" if account.drops else "only root can be somebody else")
    (account.root / "shared" / "theirs").mkdir(mode=0o755)
    why = problem(account, "theirs/drain")
    assert why.endswith(f"cannot be made: nobody may not write in {account.root}/shared/theirs")
