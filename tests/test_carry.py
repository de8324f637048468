"""What a failure means, whoever made it."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from releases.answer import Answer
from releases.carry import Carriage
from releases.errors import ReleaseError, StepFailed
from releases.interrupting import Interrupted
from releases.outcome import Outcome
from releases.plan import Batch, Phase, Plan, Step
from releases.surveyed import Surveyed
from tests.hosts import A, B, config, host


def test_a_mistake_of_our_own_ends_the_phase_as_a_failure_does(capsys: pytest.CaptureFixture[str]) -> None:
    """It must not reach `confirm`."""

    def each(*args: object) -> None:
        raise KeyError("template")

    fleet: Any = SimpleNamespace(each=each)
    carriage = Carriage(Plan("deploy", 1, B, A, {"web1": (Step("publish", {}, ""),)}), fleet, lambda *args: None)
    assert not carriage._phase(Phase.SWITCH)
    assert str(carriage.work.failed[""]) == "KeyError: 'template'"
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("overtaken", [True, False])
def test_a_phase_that_fails_is_taken_back_where_the_switch_was_sent_with_it(
    overtaken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P2: it may have been published before we heard; and Ctrl-C then does not make "unchanged" of it."""
    carriage = Carriage(Plan("deploy", 1, B, A, {"web1": ()}), SimpleNamespace(), lambda *args: None)  # type: ignore[arg-type]
    if overtaken:
        carriage.work.overtaken.set()
    monkeypatch.setattr(Carriage, "_phase", lambda self, phase, names=(): False)
    monkeypatch.setattr(Carriage, "_unchanged", lambda self: Outcome("unchanged"))
    monkeypatch.setattr(Carriage, "_taken_back", lambda self: Outcome("reverted"))
    assert carriage._carried().name == ("reverted" if overtaken else "unchanged")
    assert carriage._given_up().name == ("unknown" if overtaken else "unchanged")


@pytest.mark.parametrize(
    ("failed", "kept"),
    [
        ({"web2": StepFailed("web2", "prove", 70)}, True),
        ({"": Interrupted("interrupted")}, False),
        ({"web2": StepFailed("web2", "prove", 70), "": Interrupted("interrupted")}, False),
    ],
)
def test_who_takes_back_by_ctrl_c_takes_back_what_was_proven_too(
    failed: dict[str, ReleaseError], kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with ``on_failure = "stop"``, which is about hosts that fail."""
    steps = {name: (Step("publish", {}, ""), Step("confirm", {}, "", Phase.CONFIRM)) for name in ("web1", "web2")}
    plan = Plan("deploy", 1, B, A, steps, batches=(Batch(("web1",)), Batch(("web2",))), keeps=True)
    carriage = Carriage(plan, SimpleNamespace(), lambda *args: None)  # type: ignore[arg-type]

    def second_fails() -> bool:
        carriage.proven.append("web1")
        carriage.work.failed.update(failed)
        return False

    monkeypatch.setattr(Carriage, "_switched", lambda self: second_fails())
    monkeypatch.setattr(Carriage, "_phase", lambda self, phase, names=(): True)
    monkeypatch.setattr(Carriage, "_kept", lambda self: Outcome("partial"))
    monkeypatch.setattr(Carriage, "_taken_back", lambda self: Outcome("reverted"))
    assert carriage._carried().name == ("partial" if kept else "reverted")


def test_ctrl_c_while_what_was_kept_is_tidied_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts differ: that is known by then."""
    said: list[str] = []
    fleet: Any = SimpleNamespace(report=SimpleNamespace(say=said.append))
    aftermath = SimpleNamespace(taken_back=lambda order: Outcome("partial", why="web2: prove failed"))
    carriage = Carriage(Plan("deploy", 1, B, A, {"web1": (), "web2": ()}, keeps=True), fleet, lambda *args: None)

    def pressed(self: Carriage, names: tuple[str, ...]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Carriage, "_carried", Carriage._kept)
    monkeypatch.setattr(Carriage, "_phase", lambda self, phase, names=(): True)
    monkeypatch.setattr(Carriage, "_aftermath", lambda self: aftermath)
    monkeypatch.setattr(Carriage, "_finish_and_tidy", pressed)
    carriage._know()
    assert carriage.outcome
    assert carriage.outcome.name == "partial"
    assert said == ["warning: interrupted before all was finished that follows the switch"]


def test_where_one_host_has_failed_its_switch_no_other_begins_to() -> None:
    """It would only go back; and what is told is what failed, not who was kept from it."""
    ran: list[str] = []

    def each(names: tuple[str, ...], do: Callable[[str], None]) -> dict[str, object]:
        results: dict[str, object] = {}
        for name in reversed(names):  # more hosts than threads
            try:
                do(name)
            except ReleaseError as error:
                results[name] = error
        return dict(reversed(results.items()))

    def run(name: str, step: Step, **_: object) -> Answer:
        ran.append(f"{name} {step.name}")
        raise StepFailed(name, step.name, 70, ["no"])

    report = SimpleNamespace(**dict.fromkeys(("began_step", "failed_step"), lambda *_: None))
    targets = {name: SimpleNamespace(config=SimpleNamespace(root="/srv/shop")) for name in ("web1", "web2")}
    facts = SimpleNamespace(live=A)
    hosts = [SimpleNamespace(name=name, facts=facts) for name in targets]
    fleet: Any = SimpleNamespace(each=each, run=run, report=report, targets=targets, hosts=hosts)
    plan = Plan("deploy", 1, B, A, {name: (Step("publish", {}, ""),) for name in targets})
    carriage = Carriage(plan, fleet, lambda *args: None)
    assert not carriage._phase(Phase.SWITCH)
    assert ran == ["web2 publish"]
    assert str(next(iter(carriage.work.failed.values()))) == "web2: publish failed: no"


@pytest.mark.parametrize(
    ("least", "ill", "looked", "switched"),
    [(2, "", ["web2", "web3"], True), (2, "web3", ["web2", "web3"], False), (0, "web3", [], True)],
)
def test_who_serves_is_counted_again_before_each_later_batch(
    least: int, ill: str, looked: list[str], switched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a host that dies between two batches the survey before the plan knows nothing."""
    names, settings = ("web1", "web2", "web3"), config(strategy={"kind": "rolling", "min_healthy": least})
    asked: list[str] = []

    def survey(name: str) -> Surveyed:
        asked.append(name)
        return host(None if name == ill else A, name=name, settings=settings)

    def each(todo: tuple[str, ...], do: Callable[[str], None]) -> dict[str, object]:
        for name in todo:
            do(name)
        return {}

    hosts = tuple(host(A, name=name, settings=settings) for name in names)
    steps = {name: (Step("publish", {}, ""),) for name in names}
    plan = Plan("deploy", 1, B, A, steps, batches=tuple(Batch((name,)) for name in names))
    carriage = Carriage(plan, SimpleNamespace(each=each, hosts=hosts, survey=survey), lambda *args: None)  # type: ignore[arg-type]
    carriage.proven.append("web1")
    assert carriage._enough_serve(Batch(("web2",))) is switched
    assert asked == looked
    assert bool(carriage.work.failed) is not switched
