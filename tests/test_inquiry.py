"""A step is asked until its judge is content, its patience is over, or nobody is to ask any more."""

from collections.abc import Iterator

from releases.answer import Answer
from releases.inquiry import Inquiry
from releases.plan import Step, Verdict


def asked(*says: str, patience_s: float = 60.0, final: bool = False, stopped: bool = False) -> tuple[Verdict, int]:
    """The verdict where it answers so, one after the other, and how often it was asked."""
    answers: Iterator[str] = iter(says)
    count = 0

    def ask(step: Step) -> Answer:
        nonlocal count
        count += 1
        return Answer((("why", next(answers)),))

    def judge(answer: Answer) -> Verdict:
        return Verdict(answer.one("why"), final=final)

    step = Step("look", {}, "", judge=judge, patience_s=patience_s)
    return Inquiry(step, ask, lambda seconds: stopped).verdict(), count


def test_it_is_asked_until_its_judge_is_content() -> None:
    """And once where it is content at once, or has no judge."""
    assert asked("not yet", "not yet", "") == (Verdict(), 3)
    assert asked("") == (Verdict(), 1)
    assert Inquiry(Step("look", {}, ""), lambda step: Answer(), lambda seconds: False).verdict() == Verdict()


def test_what_cannot_change_is_not_asked_again() -> None:
    """Nor is anything once patience is over; either is final."""
    assert asked("no", final=True) == (Verdict("no", final=True), 1)
    assert asked("not yet", patience_s=0.0) == (Verdict("not yet", final=True), 1)


def test_who_is_told_to_stop_asks_no_more() -> None:
    """Then the last word is not final: nobody knows what the next one would have been."""
    assert asked("not yet", "", stopped=True) == (Verdict("not yet"), 1)
    assert asked("", stopped=True) == (Verdict(), 1)
