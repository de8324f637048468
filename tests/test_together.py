"""What hosts show only when they are looked at together."""

import pytest

from releases.errors import Refused
from releases.together import behind, check_apart, foreign
from tests.hosts import A, B, host, live


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


def test_a_host_without_what_was_switched_to_last_is_behind() -> None:
    """Whichever of them is asked first, and whatever a clock says."""
    ahead = host(B, name="a", journal=[live(1, A), live(2, B)])
    late, new = host(A, name="b", journal=[live(1, A)]), host(name="c")
    told = f"behind: deploy 2 made {B} live on a"
    assert behind((late, ahead, new)) == {"b": told, "c": told}
    assert behind((ahead, ahead)) == behind((new,)) == {}


def test_a_host_that_was_left_out_is_told_apart() -> None:
    """From one on which the deploy failed."""
    lines = live(2, B).replace('"verb"', '"without":["b"],"verb"')
    hosts = [host(B, name="a", journal=[lines]), *(host(A, name=name, journal=[live(1, A)]) for name in "bc")]
    what = f"deploy 2 made {B} live on a"
    assert behind(tuple(hosts)) == {"b": f"left out: {what}", "c": f"behind: {what}"}
