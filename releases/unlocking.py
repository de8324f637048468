"""`unlock`: who holds the locks of a fleet and of the hosts of its balancers, and how they are freed."""

import sys
from dataclasses import dataclass
from pathlib import PurePosixPath

from .answer import Answer
from .errors import LockHeld, Refused, ReleaseError, StepFailed
from .fleet import Fleet
from .history import prefix
from .holder import Holder
from .places import places
from .plan import Step
from .surveyed import Surveyed

LOCKED = 75  # the exit code of the script where somebody else has the lock


@dataclass(frozen=True, slots=True)
class Held:
    """A lock that is taken: whose, at which root, by whom (its lock.info), in which deploy (0: not known)."""

    name: str
    root: PurePosixPath
    info: str
    deploy: int = 0


def unlock(fleet: Fleet, hosts: tuple[Surveyed, ...], *, yes: bool) -> None:
    """Show who holds each lock, ask, and end that session; then settle what it left.

    Raises, once all others are freed, why the host of a balancer cannot be asked.
    """
    elsewhere = places(fleet)
    there = {name: told for name, told in elsewhere.items() if isinstance(told, Answer)}
    held = [_of(host) for host in hosts if host.facts.locked]
    held += [_at(fleet, name, told) for name, told in there.items() if told.one("locked")]
    _free(fleet, held, yes=yes)
    for told in elsewhere.values():
        if isinstance(told, ReleaseError):
            raise told
    if not held:
        fleet.report.answer("no lock is held", locked=[])


def _free(fleet: Fleet, held: list[Held], *, yes: bool) -> None:
    ended = []
    for lock in held:
        holder = Holder.parse(lock.info)
        fleet.report.answer(f"{lock.name} is locked by {holder}", host=lock.name, holder=lock.info)
        if not yes and not _agreed(f"end that session on {lock.name}? [y/N] "):
            raise Refused(f"{lock.name} stays locked", hint="`--yes` does not ask")
        if _ended(fleet, lock, holder.pid):
            ended.append(lock.name)
        else:
            fleet.report.answer(f"{lock.name}: the lock is free now", host=lock.name, free=True)
    if held:
        fleet.close()
    for name in ended:
        _settle(fleet, name)


def _settle(fleet: Fleet, name: str) -> None:
    fleet.rejoin(name, within_s=30)
    live = f"; live: {fleet.survey(name).facts.live or 'nothing'}" if name in fleet.targets else ""
    fleet.report.say(f"unlocked{live}", name)


def _of(host: Surveyed) -> Held:
    deploy = int(host.facts.history.unfinished.get("deploy", 0))
    return Held(host.name, host.config.root, host.facts.holder, deploy)


def _at(fleet: Fleet, name: str, told: Answer) -> Held:
    """That of a balancer's host: its arms end with the number of the deploy."""
    armed = [number for _, _, number in (arm.rpartition(".") for arm in told.all("armed")) if number.isdigit()]
    return Held(name, fleet.places[name].config.root, told.one("holder"), int(armed[-1]) if armed else 0)


def _ended(fleet: Fleet, lock: Held, session: int) -> bool:
    """End that *session*; False where the lock is free already. `LockHeld` where it is somebody else's by now."""
    event = {"event": "unlocked", "deploy": lock.deploy, **fleet.author.event}
    step = Step("unlock", {"root": lock.root, "session": session, "unlocked": prefix(event)}, "")
    try:
        return not fleet.run(lock.name, step).one("free")
    except StepFailed as error:
        if error.code != LOCKED:
            raise
        now = fleet.run(lock.name, Step("lock", {"root": lock.root}, ""))
        raise LockHeld(lock.name, str(Holder.parse(now.one("holder")))) from error


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        return False
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
