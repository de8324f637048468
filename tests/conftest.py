"""What the rings of tests share: a real sshd, and systemd hosts where this machine can boot them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app import App
from tests.lab import Lab
from tests.sshd import Sshd


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
