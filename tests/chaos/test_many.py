"""Many deploys at once, from different clients, to the same three hosts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app import until
from tests.chaos import site
from tests.chaos.town import NAMES, Town
from tests.conftest import require
from tests.sshd import Sshd

pytestmark = pytest.mark.journey


@pytest.mark.parametrize(("count", "wait"), [(2, ()), (20, ()), (5, ("--wait", "120s"))])
def test_many_deploy_at_once(tmp_path: Path, count: int, wait: tuple[str, ...]) -> None:
    """P5: one goes on, the others are told so or wait; on no host does one begin before another has ended."""
    require(Sshd.missing())
    with Town(tmp_path, clients=count) as town:
        for client in range(count):
            site.write(town.folder(client), f"of-{client}")
        clients = [town.start(client, ("deploy", *wait), NAMES) for client in range(count)]
        until(lambda: not [c for c in clients if not c.poll()], limit_s=300, what="the end of all")
        for client in clients:
            client.close()
        codes = [client.process.returncode for client in clients]
        assert set(codes) == {0} if wait else set(codes) <= {0, 75}, list(map(str, clients))
        hosts = list(town.hosts.values())
        went = [event["release"] for event in one_after_the_other(hosts[0].journal)]
        assert sorted(went) == sorted(client.outcome["release"] for client in clients if client.outcome["exit"] == 0)
        assert [[e["release"] for e in one_after_the_other(host.journal)] for host in hosts] == [went] * 3
        assert [host.live for host in hosts] == went[-1:] * 3


def one_after_the_other(journal: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Gives each switch in its order; fails when a deploy has begun before the last one went live."""
    at_work = 0
    for event in journal:
        if event["event"] == "deploy":
            assert not at_work, journal
            at_work = event["deploy"]
        if event["event"] == "live":
            assert event["deploy"] == at_work, journal
            at_work = 0
            yield event
