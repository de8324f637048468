"""A short walk; `make chaos SECONDS=600` takes a long one."""

from pathlib import Path

import pytest

from tests.chaos.walk import walked
from tests.conftest import require
from tests.sshd import Sshd

pytestmark = pytest.mark.journey


def test_a_short_walk_finds_nothing(tmp_path: Path) -> None:
    """P1, P2, P5, P12: whatever happens to a command, what is live is whole, and all that is told is true."""
    require(Sshd.missing())
    assert walked(6, 5, tmp_path) > 0
