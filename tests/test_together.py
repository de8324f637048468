"""What hosts show only when they are looked at together."""

import pytest

from releases.errors import Refused
from releases.together import check_apart
from tests.hosts import host


def test_one_root_of_one_machine_under_two_names_is_refused() -> None:
    """Exit 10, naming both."""
    hosts = [host(name=name, identity=identity) for name, identity in (("a", "m 1:2"), ("b", "m 1:3"), ("c", "m 1:2"))]
    with pytest.raises(Refused, match=r"^a and c are one root on one machine$") as caught:
        check_apart(hosts)
    assert "once" in caught.value.hint


def test_several_roots_of_one_machine_are_fine() -> None:
    """And so are hosts that do not say who they are, since they have no root yet."""
    check_apart([host(name="a", identity="m 1:2"), host(name="b", identity="m 1:3")])
    check_apart([host(name="a"), host(name="b")])
