"""What the rings of tests share: a real sshd, and systemd hosts where this machine can boot them."""

import os
from collections.abc import Iterator

import pytest

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
