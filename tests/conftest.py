"""What the rings of tests share: a real sshd, and systemd hosts where this machine can boot them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.app import App
from tests.lab import Lab
from tests.sshd import Sshd

# Each of these runs on one worker: they share what there is one of, or what is dear to make.
TOGETHER = (
    "tests/fleet/",
    "tests/journeys/test_flask.py",
    "tests/journeys/test_balancer.py",
    "tests/chaos/test_powercut.py",
)


class Together(LoadScopeScheduling):
    """Give one test after the other to whoever is free, and what belongs together to one.

    A mark would do, were it not lost between pytest 9.2 and xdist 3.8.
    """

    def _split_scope(self, nodeid: str) -> str:
        return next((place for place in TOGETHER if nodeid.startswith(place)), nodeid)


def pytest_addoption(parser: pytest.Parser) -> None:
    """How much of the fault ring is run."""
    parser.addoption("--whole", action="store_true", help="every step of every verb meets every fault")
    parser.addoption("--seed", type=int, default=1, help="which step meets which fault, and where in its script")
    parser.addoption("--table", type=Path, help="the file that a whole run writes what it has seen into")


def pytest_configure(config: pytest.Config) -> None:
    """Whoever runs the tests writes the table; workers tell it."""
    if (file := config.getoption("--table")) and not hasattr(config, "workerinput"):
        from tests.faults.table import Table

        config.pluginmanager.register(Table(file, config.getoption("--seed")))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    """The hook of xdist that names the scheduler."""
    return Together(config, log)


def require(missing: str) -> None:
    """Skip the test for want of *missing*, a line; where CI=true, fail it."""
    if missing and os.environ.get("CI") == "true":
        pytest.fail(missing, pytrace=False)
    if missing:
        pytest.skip(missing)


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    """An sshd of its own for each module that asks."""
    require(Sshd.missing())
    with Sshd() as running:
        yield running


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """One systemd host, booted once for all tests."""
    require(Lab.missing())
    with Lab() as running:
        yield running


@pytest.fixture
def app(sshd: Sshd, tmp_path: Path) -> App:
    """A static site with a root of its own on the module's sshd."""
    return App(tmp_path / "shop", tmp_path / "srv" / "shop", sshd.address, sshd.ssh_config)
