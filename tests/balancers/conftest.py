"""One host for each shell that we promise, which can speak to a socket: with perl beside busybox."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import require
from tests.scripts.running import SHELLS, Here


@pytest.fixture(params=SHELLS)
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Here]:
    """A host with an empty root."""
    require(Here.missing(request.param))
    found = Here(request.param, tmp_path / "host", tools=("perl",))
    yield found
    found.end()


@pytest.fixture
def account() -> Iterator[Here]:
    """The same, where permissions count: its account is not root."""
    require(Here.missing("dash"))
    base = Path(tempfile.mkdtemp(prefix="balancers-"))
    base.chmod(0o755)
    found = Here("dash", base, unprivileged=True)
    found.own()
    yield found
    found.end()
    shutil.rmtree(base, ignore_errors=True)
