"""What is said at the end of a plan that failed, once the hosts have said what is true."""

from types import SimpleNamespace
from typing import Any

import pytest

from releases.aftermath import Aftermath
from releases.answer import Answer
from releases.errors import LockHeld, OutcomeUnknown
from releases.outcome import Outcome
from releases.plan import Phase, Plan, Step
from releases.surveyed import Surveyed
from tests.hosts import A, B, C, config, host, live

DROPPED = OutcomeUnknown("web1", "settled", "the connection was closed")
WHAT = "web1: the line dropped during settled (the connection was closed)"
BEGUN = f'{{"event":"deploy","deploy":2,"verb":"deploy","release":"{B}"}}'
REVERTED = '{"event":"reverted","deploy":2,"code":0}'
UNLOCKED = '{"event":"unlocked","deploy":2,"by":"ben","place":"desk"}'


def failed(
    found: Surveyed | None, first: OutcomeUnknown = DROPPED, reached: tuple[str, ...] = (), locked: str = ""
) -> Aftermath:
    """A deploy of B whose line dropped; *found* is what the host then says, if it is reached.

    *reached* are the places whose line is there again, *locked* says who has the lock of the host by then.
    """
    plan = Plan("deploy", 2, B, A, {"web1": (Step("settled", {}, ""), Step("confirm", {}, "", Phase.CONFIRM))})
    sessions = {"web1": SimpleNamespace(lost=True)}

    def reopen(name: str, *, within_s: float) -> Surveyed:
        if locked:
            raise LockHeld(name, locked)
        return peek(name)

    def peek(name: str) -> Surveyed:
        if not found:
            raise OutcomeUnknown(name, "survey", "closed again")
        return found

    def run(name: str, step: Step) -> Answer:
        assert not locked, "nobody writes where somebody else has the lock"
        return Answer()

    def each(names: Any, do: Any) -> dict[str, Any]:
        return {name: do(name) for name in names}

    targets = {"web1": SimpleNamespace(config=config())}
    fleet: Any = SimpleNamespace(
        sessions=sessions,
        each=each,
        report=SimpleNamespace(say=lambda *_: None, began_step=lambda *_: None, ended_step=lambda *_: None),
        reopen=reopen,
        reaches=lambda name: name in reached,
        run=run,
        peek=peek,
        targets=targets,
    )
    rotation: Any = SimpleNamespace(
        everybody_back=lambda: None, leave_again=lambda name: None, come_back=lambda name: None, out=()
    )
    return Aftermath(plan, fleet, {"web1": first}, rotation)


def after(*told: Any, **more: Any) -> Outcome:
    """What is said of it, from the first switch on."""
    return failed(*told, **more).taken_back((("web1",),))


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ((), WHAT),
        ((UNLOCKED,), "web1: ben on desk has ended our session with `inv unlock` during settled"),
    ],
)
def test_once_it_is_known_what_is_true_nothing_is_called_unknown(told: tuple[str, ...], why: str) -> None:
    """Nor is anybody sent to ask once more."""
    outcome = after(host(A, complete=[A, B], journal=[live(1, A), BEGUN, *told, REVERTED]))
    assert (outcome.name, outcome.why, outcome.hint) == ("reverted", why, "")


def test_a_switch_that_was_confirmed_went_live_whoever_has_replaced_it_since() -> None:
    """The client slept, and another deploy was faster: nothing was unchanged."""
    told = host(C, complete=[A, B, C], journal=[live(1, A), live(2, B, A), live(3, C, B)])
    assert after(told).name == "live"
    foreign = host(C, complete=[A, C], journal=[live(1, A), live(2, C, A)])
    assert after(foreign).name == "unchanged", "another deploy has our number, which we never wrote down"


def test_a_line_to_a_balancer_that_is_there_again_leaves_nothing_unknown() -> None:
    """Its host has settled by then what it was left with."""
    told = host(A, complete=[A, B], journal=[live(1, A), BEGUN, REVERTED])
    first = OutcomeUnknown("balancer lb1:/srv/lb", "drain", "cut")
    outcome = after(told, first, ("balancer lb1:/srv/lb",))
    what = "balancer lb1:/srv/lb: the line dropped during drain (cut)"
    assert (outcome.name, outcome.why, outcome.hint) == ("reverted", what, "")
    assert after(told, first).why == f"{what}; the outcome is unknown"


@pytest.mark.parametrize(
    ("armed", "name", "word"),
    [
        ("", "unchanged", f"live: {A}, locked by ben"),
        ("2", "unknown", "locked by ben; it goes back by itself unless the switch was confirmed"),
    ],
)
def test_a_host_whose_lock_somebody_else_has_by_then_is_looked_at(armed: str, name: str, word: str) -> None:
    """They have settled what we left, or are about to; nothing is written down there."""
    outcome = after(host(A, complete=[A, B], journal=[live(1, A), BEGUN], armed=armed), locked="ben")
    assert (outcome.name, dict(outcome.hosts)) == (name, {"web1": word})


def test_while_the_host_cannot_be_reached_the_outcome_is_unknown() -> None:
    """P12."""
    outcome = after(None)
    assert (outcome.name, outcome.why) == ("unknown", f"{WHAT}; the outcome is unknown")
    assert "`inv status`" in outcome.hint


def test_before_the_switch_nothing_has_to_go_back() -> None:
    """Whether the host can be reached or not."""
    outcome = failed(None).unchanged()
    assert dict(outcome.hosts) == {"web1": "cannot be reached; nothing was switched there"}


def test_the_journal_is_told_only_what_happened() -> None:
    """Whoever reads it later knows how it ended."""
    assert (DROPPED.record, str(DROPPED)) == (WHAT, f"{WHAT}; the outcome is unknown")
