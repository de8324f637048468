"""One host for each shell that we promise."""

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
    found = Here(request.param, tmp_path)
    yield found
    found.end()


@pytest.fixture(params=SHELLS)
def account(request: pytest.FixtureRequest) -> Iterator[Here]:
    """The same, where permissions count: its account is not root."""
    require(Here.missing(request.param))
    base = Path(tempfile.mkdtemp(prefix="scripts-"))
    base.chmod(0o755)
    found = Here(request.param, base, unprivileged=True)
    found.own()
    yield found
    found.end()
    shutil.rmtree(base, ignore_errors=True)
