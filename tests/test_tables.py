"""What `status` notes, in words for people: as much of a failure as the deployer saw, and no word of ours alone."""

import json

import pytest

from releases import tables
from releases.errors import StepFailed
from tests.hosts import A, B, host, live

BEGUN = f'{{"event":"deploy","deploy":2,"verb":"deploy","release":"{B}"}}'
TAIL = ["rehearse web: it ended before it answered: KeyError: 's3cret'"]


def failed(verb: str = "deploy", number: int = 2, why: str = "web1: prove failed: web answered 500") -> str:
    return json.dumps({"event": "failed", "deploy": number, "verb": verb, "release": str(B), "why": why})


def note(*journal: str, complete: bool = False, **answers: str) -> str:
    found = host(A, complete=[A, B] if complete else [A], journal=[live(1, A), *journal], **answers)
    return tables.status(found)["note"]


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (failed(), "deploy 2 failed: web1: prove failed: web answered 500"),
        (failed("already_live", 0), "the proof of what was live already failed: web1: prove failed: web answered 500"),
        (failed("promote"), "promotion 2 failed: web1: prove failed: web answered 500"),
        ('{"event":"reverted","deploy":2,"verb":"abort"}', "abort of canary 2 was taken back"),
    ],
)
def test_how_a_deploy_ended_is_said_in_words(event: str, said: str) -> None:
    """And not by the names that events have."""
    assert note(*([BEGUN] if json.loads(event)["deploy"] else []), event) == said


def test_what_a_deploy_that_failed_has_left_is_named() -> None:
    """With what removes it."""
    assert note(BEGUN, failed(), complete=True).endswith(f"; {B} is kept until the next deploy, or `inv prune`")


def test_a_switch_that_nobody_confirmed_waits() -> None:
    """Unless whoever armed it is at work."""
    assert note(armed="2") == "the switch of deploy 2 waits to be settled"
    assert "settled" not in note(armed="2", locked="1")


def test_what_was_confirmed_was_not_interrupted() -> None:
    """Though a full disk took no line of it: the rename has decided, and the old processes still run."""
    assert note(BEGUN, confirmed="2") == "confirmed, and what was replaced was not told to stop yet: 2"
    assert "is at work" in note(BEGUN, confirmed="2", locked="1")


def test_the_journal_has_our_own_words_for_a_step_that_failed() -> None:
    """P9: never those of a program."""
    own = StepFailed("web1", "rehearse web", 70, TAIL, own="it ended before it answered")
    assert "KeyError" in str(own)
    assert own.record == "web1: rehearse web failed: it ended before it answered"
    assert StepFailed("web1", "rehearse web", 70, TAIL).record == "web1: rehearse web failed: exit 70"
