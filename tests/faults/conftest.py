"""One host for all tests of a worker, and the rows of the matrix."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import require
from tests.faults.matrix import SEED, short, whole
from tests.faults.site import Site
from tests.faults.stage import Stage
from tests.faults.stage import stage as staged
from tests.faults.verbs import VERBS
from tests.sshd import Sshd


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The cases: all of them, or those that *seed* decides."""
    if "case" in metafunc.fixturenames:
        seed = metafunc.config.getoption("--seed", SEED)
        cases = whole() if metafunc.config.getoption("--whole", False) else short(seed)
        metafunc.parametrize("case", cases, ids=str)


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int:
    """What decides what is left to chance."""
    return int(pytestconfig.getoption("--seed", SEED))


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The host; what is dear to make is made once for all workers."""
    require(Sshd.missing())
    base = tmp_path_factory.getbasetemp()
    kept = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "faults"
    with staged(tmp_path_factory.mktemp("stage"), kept) as found:
        yield found


@pytest.fixture
def site(stage: Stage, tmp_path: Path) -> Iterator[Site]:
    """v1, v2 and v3 proven on a root of its own, v3 live, v4 to be deployed over the line."""
    with stage.site(tmp_path, VERBS[0]) as found:
        yield found
