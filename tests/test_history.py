"""The journal is the truth about the past: order, proven, bad."""

from releases.history import History, rollback_target
from tests.hosts import A, B, C, D, live


def history(*lines: str) -> History:
    return History.parse("\n".join(lines).splitlines())


def test_order_comes_from_the_journal_and_not_from_names_or_clocks() -> None:
    """A clock an hour off names a newer release as older."""
    assert history(live(1, C), live(2, A), live(3, B)).proven == (C, A, B)


def test_a_line_that_a_crash_cut_short_is_left_out() -> None:
    """The rest still counts."""
    assert history(live(1, A), '{"event":"live","deploy":2,"rel', live(3, B)).proven == (A, B)


def test_what_a_rollback_left_is_bad_until_it_is_deployed_and_proven_again() -> None:
    """The next rollback must not return to it."""
    back = (live(1, A), live(2, B), live(3, A, B, "rollback"))
    assert history(*back).bad == {B}
    assert history(*back, live(4, B, A)).bad == frozenset()


def test_a_failed_deploy_is_not_proven_and_not_unfinished() -> None:
    """It ended, with a reason."""
    found = history(live(1, A), '{"event":"deploy","deploy":2,"release":"x"}', '{"event":"failed","deploy":2}')
    assert (found.proven, found.unfinished, found.number) == ((A,), {}, 2)


def test_a_deploy_without_an_end_is_unfinished() -> None:
    """Its deployer has died, or is at work."""
    assert history(live(1, A), '{"event":"deploy","deploy":2,"release":"x"}').unfinished["deploy"] == 2


def test_a_plain_rollback_goes_to_the_newest_proven_release_that_is_there_and_not_bad() -> None:
    """Failed, bad and pruned ones are passed over."""
    found = history(live(1, A), live(2, B), live(3, C), live(4, B, C, "rollback"), live(5, D, B))
    assert rollback_target(found, D, [A, B, C, D]) == B
    assert rollback_target(found, D, [A, C, D]) == A
    assert rollback_target(found, D, [C, D]) is None


def test_what_one_host_knows_of_the_database_all_know() -> None:
    """The loss of any host, the leader included, loses no history; what each writes of itself stays its own."""
    ran = '{"event":"migrated","deploy":2,"release":"x","phase":"contract","names":["drop"],"at":"then"}'
    told = '{"event":"migrated","deploy":2,"release":"x","phase":"contract","names":["drop"],"at":"now"}'
    live = '{"event":"live","deploy":1}'
    leader, other, informed = (History.parse(lines) for lines in ([live, ran], [live], [told]))
    assert [event["names"] for event in other.untold([leader, other])] == [["drop"]]
    assert informed.untold([leader]) == ()
    assert leader.untold([other, informed]) == ()
