"""The proof of a switch: every process runs the release, and health answers; twice, with the same processes."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from .answer import Answer
from .config import Config
from .facts import Facts
from .layout import Release
from .plan import Phase, Step, Verdict
from .processes.kind import Kind, Switch

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ASKING_S = 60.0  # what a proof may take besides its questions


def prove(config: Config, release: Release, kinds: tuple[Kind, ...], switch: Switch | None, *, wait_s: float) -> Step:
    """Read from the host which release each process runs, until all run *release* or *wait_s* is over."""
    judge = partial(proven, config, release, kinds)
    says = _promise(config, kinds, release)
    values = _asked(config, kinds, switch, 0)
    limit_s = ASKING_S + _asking_s(config, kinds)
    return Step("prove", values, says, judge=judge, timeout_s=limit_s, patience_s=wait_s, words=_words(kinds, switch))


def settled(config: Config, release: Release, kinds: tuple[Kind, ...], switch: Switch | None, *, wait_s: float) -> Step:
    """The same once more, after ``settle_s``, with the same processes."""
    pause = _pause(config, kinds)
    judge = partial(_still_proven, config, release, kinds)
    says = "the same processes still do" if kinds else "it still does"
    values = _asked(config, kinds, switch, pause)
    return Step(
        "settled",
        values,
        f"{says} after {pause:g} s" if pause else says,
        template="prove",
        judge=judge,
        timeout_s=ASKING_S + pause + 2 * _asking_s(config, kinds),
        patience_s=wait_s,
        words=_words(kinds, switch),
    )


def _pause(config: Config, kinds: tuple[Kind, ...]) -> float:
    """By default nothing is waited for where nothing runs that could die meanwhile, and nothing can be asked."""
    given = "settle_s" in config.strategy.model_fields_set
    return config.strategy.settle_s if given or kinds or config.health else 0.0


def _words(kinds: tuple[Kind, ...], switch: Switch | None) -> tuple[Step, ...]:
    return tuple(step for kind in kinds for step in kind.words(switch)) if switch else ()


def probe(config: Config, kinds: tuple[Kind, ...], switch: Switch) -> tuple[Step, ...]:
    """The N-1 probe: what is live must still answer after the expand migrations."""
    asked = [kind.values(switch) for kind in kinds if kind.values(switch)["public_url"]]
    if not asked and not config.health:
        return ()
    values = {**_asked(config, (), switch, 0), "processes": asked}
    says, limit_s = f"{switch.previous}, still live, answers on the new schema", 10 + _asking_s(config, kinds)
    return (Step("probe", values, says, Phase.EXPAND, judge=_all_healthy, timeout_s=limit_s, patience_s=5),)


def _asking_s(config: Config, kinds: Iterable[Kind]) -> float:
    """How long it takes until every question has run into its limit."""
    limits = [float(str(values["timeout_s"])) for kind in kinds if (values := kind.values())["url"]]
    return sum(limits) + (config.health.timeout_s if config.health else 0.0)


def _all_healthy(answer: Answer) -> Verdict:
    for key, said in answer:
        if key.endswith(".health") and not said.startswith("2"):
            return Verdict(f"{key.removesuffix('.health')}: what is live answered {said} after the expand migrations")
    return Verdict()


def proven(config: Config, release: Release, kinds: tuple[Kind, ...], answer: Answer) -> Verdict:
    """``current`` names *release*, every process runs it, and health answers."""
    facts = Facts.of("", answer, now=EPOCH)
    if facts.live != release:
        return Verdict(f"current names {facts.live or 'nothing'}, not {release}", final=True)
    notes = []
    for kind in kinds:
        if not (verdict := kind.proof(release, facts)):
            return replace(verdict, about=kind.name)
        notes.append(verdict.note)
        asked = kind.values()["url"]
        said = answer.one(f"{kind.name}.health", "" if asked else "200")
        if not said.startswith("2"):
            return Verdict(f"{kind.name}: {asked} {_answered(said)}", about=kind.name, quotes=said.startswith("3"))
    if config.health and not (said := answer.one("health")).startswith("2"):
        redirect = said.startswith("3")
        return Verdict(f"{config.health.url} {_answered(said)}", final=redirect, quotes=redirect)
    return Verdict(note="; ".join(filter(None, notes)))


def _answered(said: str) -> str:
    """A status as what was answered; else why nothing was."""
    return f"answered {said}, wanted 200" if said[:1].isdigit() else f"did not answer: {said or 'nothing was said'}"


def watched(settled: Step, first: Answer) -> Step:
    """The proof again, at once, with the processes that *first*, an answer of *settled*, saw last."""
    asked = settled.judge
    assert asked
    then = tuple((f"then.{key}", value) for key, value in first if not key.startswith("then."))
    return replace(
        settled,
        values={**settled.values, "settle_s": "0"},
        judge=lambda answer: asked(Answer((*then, *answer))),
        patience_s=0.0,
    )


def _still_proven(config: Config, release: Release, kinds: tuple[Kind, ...], answer: Answer) -> Verdict:
    now = Answer(tuple((k, v) for k, v in answer if not k.startswith("then.")))
    before = tuple((k.removeprefix("then."), v) for k, v in answer if k.startswith("then."))
    then = Answer(before) if before else now
    if not (verdict := proven(config, release, kinds, then)):
        return verdict
    for kind in kinds:
        if not kind.same(release, then, now):
            # Not asked again: processes that keep dying would pass as soon as none of them dies during the pause.
            why = f"{kind.name}: processes that were proven died within the pause"
            return Verdict(why, final=True, about=kind.name)
    return proven(config, release, kinds, now)


def _asked(config: Config, kinds: Iterable[Kind], switch: Switch | None, pause: float) -> Mapping[str, object]:
    health = config.health
    return {
        "root": config.root,
        "settle_s": f"{pause:g}",
        "processes": [kind.values(switch) if switch else _public(kind.values()) for kind in kinds],
        "url": health.url if health else "",
        "host": health.host if health else "",
        "timeout_s": health.timeout_s if health else 5,
    }


def _public(values: Mapping[str, object]) -> Mapping[str, object]:
    """Asked as clients ask: without a switch there is no instance to ask for."""
    return {**values, "url": values["public_url"]}


def _promise(config: Config, kinds: tuple[Kind, ...], release: Release) -> str:
    """What a proof sees, in words."""
    asked = [f"{config.health.url} answers 200"] if config.health else []
    asked += [f"{kind.name} answers 200" for kind in kinds if kind.values()["url"]]
    return ", ".join([f"every process runs {release}" if kinds else f"current leads to {release}", *asked])
