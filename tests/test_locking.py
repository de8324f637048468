"""In which order locks are taken, so that of two deploys over the same hosts one waits and none for ever."""

from pathlib import PurePosixPath
from typing import Any

import pytest

from releases.config import Target
from releases.errors import LockHeld
from releases.fleet import Fleet
from releases.locking import Locking
from releases.report import Report
from releases.targets import chosen
from tests.hosts import ANA, config


def target(address: str, group: str, root: str) -> Target:
    return Target.at(address, group=group, config=config(root=PurePosixPath(root)))


GROUPS = {
    "a": (target("web1", "a", "/srv/z"),),
    "b": (target("deploy@WEB1:22", "b", "/srv/b"),),
    "c": (target("web1", "c", "/srv/a"),),
    "d": (target("web1:23", "d", "/srv/a"),),
}


def order(host: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tables of the hosts whose locks are waited for, in their order, where all are taken."""
    fleet, waited = Fleet(chosen(GROUPS, host), Report(), ANA), list[str]()

    def lock(self: Locking, name: str, connection: Any, *, locked: bool, wait_s: float) -> None:
        if not wait_s:
            raise LockHeld(name, "ben")
        waited.append(self.fleet.places[name].group)

    monkeypatch.setattr(Locking, "_take", lock)
    connections: Any = dict.fromkeys(fleet.targets)
    fleet.locking.take(connections, locked=True, wait_s=5.0)
    return waited


def test_the_order_is_that_of_the_places_whatever_they_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """A label that tells several roots of one address apart depends on who else is named."""
    whole = order("a,b,c,d", monkeypatch)
    assert whole == ["c", "b", "a", "d"]
    for some in ("a,b", "b,a", "d,a", "c,b,d", "a,c"):
        assert order(some, monkeypatch) == [name for name in whole if name in some.split(",")]
