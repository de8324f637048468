"""Ctrl-C during the switch, without a host: what is asked, and what goes on meanwhile."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from invoke.exceptions import Exit

from releases.answer import Answer
from releases.carry import Carriage
from releases.errors import ReleaseError
from releases.interrupting import Interrupted, Terminated, listen, waited
from releases.outcome import Outcome
from releases.plan import Phase, Plan, Step
from releases.recipe import fleet, task
from tests.hosts import A, B

STEPS = tuple(Step(name, {}, "") for name in ("one", "two"))


@pytest.fixture(autouse=True)
def hearing() -> Iterator[None]:
    """Whoever became deaf hears again: a shell could not trap what is ignored where it starts."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    listen()
    for number, heard in before.items():
        signal.signal(number, heard)


class Person:
    """Presses Ctrl-C during the first step, which ends once somebody was asked; then answers *lines*."""

    def __init__(self, *lines: str | type[BaseException], is_there: bool = True) -> None:
        self.lines, self.asks = list(lines), is_there
        self.ran: list[str] = []
        self.said: list[str] = []
        self.pressed, self.closed, self.told = (threading.Event() for _ in range(3))
        self.began_step = self.ended_step = self.failed_step = lambda *args: None

    def ask(self, question: str) -> str:
        """As `Report.ask`."""
        self.told.set()
        line = self.lines.pop(0)
        if isinstance(line, str):
            return line
        raise line

    def say(self, line: str) -> None:
        """As `Report.say`."""
        self.said.append(line)
        self.told.set()

    def run(self, name: str, step: Step, **more: Any) -> Answer:
        """The first step is interrupted, and ends when the person knows."""
        if not self.pressed.is_set():
            self.pressed.set()
            signal.pthread_kill(threading.main_thread().ident or 0, self.signal)
            assert self.told.wait(30)
        self.ran.append(step.name)
        return Answer()

    signal = signal.SIGINT

    def each(self, names: tuple[str, ...], do: Callable[[str], None]) -> dict[str, object]:
        """As `Fleet.each`, of one host."""
        try:
            do(names[0])
        except ReleaseError as error:
            return {names[0]: error}
        return {}


def carried(person: Person, phase: Phase = Phase.SWITCH, *, overtaken: bool = False) -> bool:
    """Did the phase come to its end, as it should?"""
    steps = tuple(Step(s.name, {}, "", phase) for s in STEPS)
    target = SimpleNamespace(config=SimpleNamespace(root="/srv/shop"))
    hosts = (SimpleNamespace(name="web1", facts=SimpleNamespace(live=A)),)
    fleet: Any = SimpleNamespace(
        each=person.each,
        ahead=lambda *_, **__: None,
        run=person.run,
        report=person,
        close=person.closed.set,
        targets={"web1": target},
        hosts=hosts,
    )
    carriage = Carriage(Plan("deploy", 1, B, A, {"web1": steps}), fleet, lambda *args: None)
    if overtaken:
        carriage.work.overtaken.set()
    went = carriage._phase(phase)
    assert went or isinstance(carriage.work.failed[""], Interrupted)
    return went


def test_who_says_so_goes_on() -> None:
    """As if nothing had been pressed; what is no answer is asked again."""
    person = Person("what?\n", "g\n")
    assert carried(person)
    assert (person.ran, person.said) == (["one", "two"], ["interrupted: going on"])


@pytest.mark.parametrize("line", ["\n", "t\n", "", Terminated])
def test_anything_else_takes_back_once_the_step_has_ended(line: str | type[BaseException]) -> None:
    """Also the end of the input, and SIGTERM meanwhile; no other step begins."""
    person = Person(line)
    assert not carried(person)
    assert (person.ran, person.closed.is_set()) == (["one"], False)


def test_ctrl_c_again_takes_back_at_once() -> None:
    """The step is ended with its session."""
    person = Person(KeyboardInterrupt)
    assert not carried(person)
    assert person.closed.is_set()


def test_where_nobody_can_answer_nobody_is_asked() -> None:
    """A job of CI: the step is finished, then all is taken back."""
    person = Person(is_there=False)
    assert not carried(person)
    assert (person.ran, person.closed.is_set()) == (["one"], False)


def test_before_the_switch_the_step_is_ended() -> None:
    """Nothing was changed that one would have to decide about."""
    person = Person()
    assert not carried(person, Phase.STAGE)
    assert person.closed.is_set()


def test_what_may_have_begun_the_switch_is_decided_about() -> None:
    """Sent with what comes before it: of an only host we may still hear of that while it is switched already."""
    person = Person("g\n")
    assert carried(person, Phase.STAGE, overtaken=True)
    assert person.said == ["interrupted: going on"]


def test_sigterm_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends it does not wait for a question."""

    def terminate(number: int, frame: object) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    person = Person()
    monkeypatch.setattr(person, "signal", signal.SIGTERM)
    assert not carried(person)
    assert (person.ran, person.closed.is_set()) == (["one"], False)


@pytest.mark.parametrize("presses", [1, 2, 3])
def test_ctrl_c_behind_the_confirm_changes_no_outcome(presses: int) -> None:
    """P12: it is live, however often it is pressed while that is put into words."""
    person, left = Person(), [presses]

    def press(*words: object) -> None:
        if left[0]:
            left[0] -= 1
            os.kill(os.getpid(), signal.SIGINT)

    steps = (Step("confirm", {}, "", Phase.CONFIRM), Step("prune", {}, "", Phase.AFTER))
    target = SimpleNamespace(config=SimpleNamespace(root="/srv/shop"))
    fleet: Any = SimpleNamespace(
        each=lambda names, do: {name: do(name) for name in names},
        ahead=lambda *_, **__: None,
        run=lambda name, step, **more: press() if step.name == "prune" else Answer(),
        report=person,
        targets={"web1": target},
        hosts=(SimpleNamespace(name="web1", facts=SimpleNamespace(live=A)),),
    )
    person.say = press  # type: ignore[method-assign]
    outcome = Carriage(Plan("deploy", 1, B, A, {"web1": steps}), fleet, lambda *args: None).carry()
    os.kill(os.getpid(), signal.SIGINT)
    assert (outcome.name, outcome.exit_code) == ("live", 0)


@pytest.mark.parametrize("pressed", [KeyboardInterrupt, Terminated])
def test_what_was_said_to_be_true_stays_so(
    pressed: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P12: Ctrl-C while the sessions are closed comes too late to make another outcome of it."""
    (tmp_path / "deploy.toml").write_text('app = "shop"\nroot = "/srv/shop"\n[hosts.prod]\nssh = ["web1"]\n')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Exit) as ended:
        _pressed(pressed, Outcome("live"))
    assert ended.value.code == 0
    with pytest.raises(pressed):
        _pressed(pressed)


def _pressed(pressed: type[BaseException], *said: Outcome) -> None:
    """A command that is interrupted when it has said all this."""
    with fleet() as hosts:
        for outcome in said:
            hosts.report.outcome(outcome)
        raise pressed


def unlucky(again: BaseException) -> threading.Event:
    """An event whose wait meets Ctrl-C just when it takes its lock again."""

    def restore(state: object) -> None:
        raise again

    event = threading.Event()
    event._cond._acquire_restore = restore  # type: ignore[attr-defined]
    return event


@pytest.mark.parametrize("again", [KeyboardInterrupt, Terminated])
def test_ctrl_c_is_one_in_whichever_moment_it_comes(again: type[BaseException]) -> None:
    """And not what threading makes of it; what is none of ours stays as it is."""
    with pytest.raises(again):
        waited(unlucky(again()), 0)
    with pytest.raises(RuntimeError, match="unlocked"):
        waited(unlucky(RuntimeError("none of ours")), 0)


def test_a_command_that_ctrl_c_meets_in_such_a_moment_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """With one line, and no traceback."""

    @task
    def status(context: object) -> None:
        unlucky(KeyboardInterrupt()).wait(0)

    with pytest.raises(Exit) as ended:
        status.body(SimpleNamespace(config=SimpleNamespace(run=SimpleNamespace(dry=False))))
    assert (ended.value.code, capsys.readouterr().err) == (11, "switchover: interrupted, nothing was changed\n")
