"""What hosts show only when they are looked at together."""

import pytest

from releases.errors import Refused
from releases.together import check_apart, foreign
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


@pytest.mark.parametrize(
    ("compiled", "notes"),
    [
        ({}, ()),
        ({"x86_64": "bin/a"}, ("b is aarch64, but the build has programs for other machines: bin/a for x86_64",)),
        ({"x86_64": "bin/a", "aarch64": "bin/b"}, ()),
    ],
)
def test_what_was_compiled_for_another_machine_is_told(compiled: dict[str, str], notes: tuple[str, ...]) -> None:
    """A build without programs, or with those of every machine, goes anywhere."""
    assert foreign((host(name="a", machine="x86_64"), host(name="b", machine="aarch64")), compiled) == notes
