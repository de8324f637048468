"""Nothing in use is deleted."""

from releases.layout import Release
from releases.prune import expired, prune
from tests.hosts import A, B, C, D, config, host, live

E = Release("20261125T000000Z-00000005")
JOURNAL = [live(1, A), live(2, B), live(3, C), live(4, D)]
TWO = config(keep={"releases": 2})


def test_the_newest_proven_releases_are_kept_and_older_ones_go() -> None:
    """The live one counts."""
    assert expired(host(D, complete=[A, B, C, D], journal=JOURNAL, settings=TWO), D) == (A, B)


def test_what_is_pinned_or_used_by_a_process_is_spared() -> None:
    """P6."""
    answers = {"pin": str(A), "process": f"12 1 60 - python {B} {B}"}
    assert expired(host(D, complete=[A, B, C, D], journal=JOURNAL, settings=TWO, **answers), D) == ()


def test_the_rollback_target_is_spared_even_with_one_release_to_keep() -> None:
    """Or the next rollback had nowhere to go."""
    one = config(keep={"releases": 1})
    assert expired(host(D, complete=[A, B, C, D], journal=JOURNAL, settings=one), D) == (A, B)


def test_a_release_that_failed_goes_first_and_never_counts() -> None:
    """Or ten failures would delete the last good one."""
    failed = f'{{"event":"failed","deploy":5,"release":"{E}"}}'
    assert expired(host(D, complete=[C, D, E], journal=[*JOURNAL, failed], settings=TWO), D) == (E,)


def test_what_the_journal_does_not_know_is_spared() -> None:
    """P6: who lost a journal must not lose the releases, too."""
    assert expired(host(D, complete=[A, B, C, D], journal=[live(4, D)], settings=TWO), D) == ()


def test_a_bad_release_goes_and_never_counts() -> None:
    """A rollback left it."""
    back = [*JOURNAL, live(5, C, D, "rollback")]
    assert expired(host(C, complete=[B, C, D], journal=back, settings=TWO), C) == (D,)


def test_nothing_to_prune_is_a_plan_without_steps() -> None:
    """And says so."""
    assert str(prune((host(D, complete=[D], journal=JOURNAL),))) == "prune: nothing to do"
