"""What is the fleet's is known on every host; what is a host's own stays its own."""

import json

from releases import hearsay
from releases.history import History
from releases.processes.kind import Switch
from releases.prune import expired
from releases.switching import began
from tests.hosts import ANA, A, B, C, config, host, live


def history(*lines: str) -> History:
    return History.parse("\n".join(lines).splitlines())


FLEET = (live(1, A), live(2, B), live(3, A, B, "rollback"))


def test_a_bad_mark_is_known_where_no_rollback_ran() -> None:
    """The host was left out, and must not go where the others came back from."""
    late = host(B, name="c", complete=[A, B], journal=FLEET[:2])
    knowing = late.knowing([host(A, name="a", journal=FLEET), late])
    assert (late.facts.history.bad, knowing.facts.history.bad) == (frozenset(), {B})
    again = [*FLEET, live(4, B, A)]
    assert late.knowing([host(B, name="a", journal=again)]).facts.history.bad == frozenset()


def test_nothing_is_proven_by_hearsay() -> None:
    """Nor is it known to prune, or taken for a deploy that has not ended."""
    new = host(A, name="c", complete=[A, B], journal=[live(1, A)])
    knowing = new.knowing([host(C, name="a", journal=[live(1, A), live(2, B), live(3, C)])])
    found = knowing.facts.history
    assert (found.proven, found.number, found.unfinished) == ((A,), 3, {})
    assert expired(knowing, A) == ()


def test_who_deployed_is_told_with_the_deploy() -> None:
    """And by whom it was told does not matter: what was told is told on."""
    begun = {"event": "deploy", "deploy": 2, "release": str(B), "by": "ana", "place": "x", "revision": "1f0e"}
    first = history(live(1, A), json.dumps(begun), live(2, B).splitlines()[1])
    (told,) = hearsay.untold(history(live(1, A)), [first])
    assert (told["by"], told["revision"], told["made_live"], "release" in told) == ("ana", "1f0e", str(B), False)
    second = History((*history(live(1, A)).events, told))
    assert second.first_deploy(B)["by"] == "ana"
    assert hearsay.untold(history(live(1, A)), [second]) == (told,)
    assert hearsay.untold(second, [first]) == hearsay.untold(first, [second]) == ()


def test_the_same_deploy_is_one_whatever_it_replaced_and_whatever_a_clock_says() -> None:
    """Hosts that were together have nothing to tell each other."""
    event = {"event": "live", "deploy": 2, "release": str(B)}
    one, other = (json.dumps({**event, "previous": str(p), "at": at}) for p, at in ((A, "then"), (C, "now")))
    assert hearsay.untold(history(one), [history(other)]) == ()


def test_what_is_told_is_written_with_the_next_deploy_and_no_more_than_a_step_can_carry() -> None:
    """The newest first; the rest follows with the deploy after it."""
    old = host(A, name="a", journal=[live(number, A if number % 2 else B) for number in range(1, 2000)])
    knowing = host(name="b").knowing([old])
    steps = began(knowing, Switch(config().root, 2000, A, None), "deploy", ANA)
    written = [line for step in steps for line in step.values["untold"]]  # type: ignore[attr-defined]
    assert sum(map(len, written)) < 33_000
    assert json.loads(written[-1])["deploy"] == 1999
    assert len(hearsay.untold(history(*written), [old.facts.history])) == 1999 - len(written)


def test_apps_do_not_mix() -> None:
    """A command over two of them makes no history of one another's."""
    other = host(A, name="a", journal=[live(1, A)], settings=config(app="blog"))
    assert host(name="b").knowing([other]).untold == ()


def test_a_schema_is_not_passed_because_a_deploy_was_heard_of_late() -> None:
    """P8: the order is that of the deploys, not that of the journal."""
    contract = json.dumps({"event": "migrated", "deploy": 2, "release": str(B), "phase": "contract", "names": ["drop"]})
    late = history(live(1, A), live(3, C), contract)
    assert (late.beyond(C), late.beyond(A)) == ("", "drop")
    knowing = History((*late.events, *hearsay.untold(late, [history(live(1, A), live(2, B), live(3, C))])))
    assert (knowing.beyond(C), knowing.beyond(A)) == ("", "drop")
