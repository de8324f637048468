"""deploy: what is to be shipped and what was found on the hosts → a plan."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from . import proofs, steps
from .canary import check_none_waits, held
from .config import Config
from .draining import balanced
from .errors import Refused
from .layout import Release
from .manifest import Difference, Manifest, difference
from .migrations import command as migrations
from .plan import Phase, Plan, Step
from .processes.kind import Switch
from .prune import pruning
from .room import check_room
from .size import counted, size
from .surveyed import Surveyed
from .switching import (
    Author,
    began,
    fleetwide,
    known,
    notes,
    number,
    rehearse,
    switch_over,
    switched_to,
    unsettled,
)
from .together import foreign


@dataclass(frozen=True, slots=True)
class Shipment:
    """What is to go live: its manifest and where it comes from; *bases* are the manifests that hosts have already."""

    release: Release
    manifest: Manifest
    revision: str = ""
    subject: str = ""
    bases: Mapping[str, Manifest] = field(default_factory=dict)
    compiled: Mapping[str, str] = field(default_factory=dict)  # machine → a path that was compiled for it
    source: str = ""  # the host that has it already

    def difference(self, host: Surveyed) -> Difference:
        """What *host* needs."""
        return difference(self.manifest, self.bases.get(host.name))


def deploy(hosts: tuple[Surveyed, ...], shipment: Shipment, author: Author, *, force: bool = False) -> Plan:
    """Plan to make *shipment* live on *hosts*, the first of them being the leader.

    Raises `Refused` with the first reason why it cannot be safe.
    """
    for host in hosts:
        host.check()
    check_none_waits(hosts)
    if not force and len({host.facts.live for host in hosts}) == 1 and all(_is_live(host, shipment) for host in hosts):
        return proof_only(hosts)
    for host in hosts:
        check_room(host, shipment.manifest, shipment.difference(host), copies=touched(host.config))
    n = number(hosts)
    plan = {host.name: _steps(host, shipment, author, n, leader=host.leader(hosts)) for host in hosts}
    said, whole = _notes(hosts, shipment), fleetwide(hosts)
    return held(hosts, balanced(Plan("deploy", n, shipment.release, hosts[0].facts.live, plan, said, **whole), hosts))


def redeploy(hosts: tuple[Surveyed, ...], release: Release, author: Author, *, copy: Shipment | None = None) -> Plan:
    """Plan to make a *release* live that lies on hosts; nothing is marked bad. Who lacks it gets the *copy*."""
    check_none_waits(hosts)
    check_there(hosts, release, copy)
    if all(host.facts.live == release for host in hosts):
        return proof_only(hosts)
    n, plan = number(hosts), {}
    for host in hosts:
        switch = arriving(host, n, release, copy)
        leader = host.leader(hosts)
        first = (*expanding(host, switch, leads=host is leader), *_sharing(host, leader))
        plan[host.name] = made_live(host, switch, "deploy", author, copy, *first)
    said = arrival_notes(hosts, release, copy)
    whole = Plan("deploy", n, release, hosts[0].facts.live, plan, said, **fleetwide(hosts))
    return held(hosts, balanced(whole, hosts))


def check_there(hosts: tuple[Surveyed, ...], release: Release, copy: Shipment | None) -> None:
    """Raise `Refused` unless *release* can go live on each of *hosts*, where it lies or where the *copy* goes."""
    for host in hosts:
        host.check()
        if release not in host.facts.complete:
            if not copy:
                raise Refused(f"{host.name}: there is no complete release {release}", hint="`inv releases` lists them")
            check_room(host, copy.manifest, copy.difference(host), copies=touched(host.config))
        host.check_schema(release)


def arriving(host: Surveyed, n: int, release: Release, copy: Shipment | None) -> Switch:
    """The switch to a *release* that lies on the host already, or is copied there."""
    if release in host.facts.complete or not copy:
        return known(host, n, release)
    return Switch(host.config.root, n, release, host.facts.live, replaced=bool(changed(host, copy)))


def made_live(
    host: Surveyed, switch: Switch, verb: str, author: Author, copy: Shipment | None, *first: Step
) -> tuple[Step, ...]:
    """Everything that makes such a release live: where it is lacking as any shipment, else once it was verified."""
    if switch.release in host.facts.complete or not copy:
        return switched_to(host, switch, verb, author, *first)
    staged = began(host, switch, verb, author, revision=copy.revision, subject=copy.subject)
    return (*staged, *_staging(host, copy, switch), *first, *rehearse(host, switch), *switch_over(host, switch))


def arrival_notes(hosts: tuple[Surveyed, ...], release: Release, copy: Shipment | None) -> tuple[str, ...]:
    """What is worth knowing before such a switch."""
    lacking = tuple(host for host in hosts if copy and release not in host.facts.complete)
    replaced = _replaced(lacking, copy) if copy else ()
    return (*notes(tuple(host for host in hosts if host not in lacking), release), *unsettled(lacking), *replaced)


def _steps(host: Surveyed, shipment: Shipment, author: Author, n: int, *, leader: Surveyed) -> tuple[Step, ...]:
    config, release = host.config, shipment.release
    switch = Switch(config.root, n, release, host.facts.live, replaced=bool(changed(host, shipment)))
    return (
        *began(host, switch, "deploy", author, revision=shipment.revision, subject=shipment.subject),
        *_staging(host, shipment, switch),
        *expanding(host, switch, leads=host is leader),
        *_sharing(host, leader),
        *rehearse(host, switch),
        *switch_over(host, switch),
        *pruning(host, release, n),
    )


def _staging(host: Surveyed, shipment: Shipment, switch: Switch) -> tuple[Step, ...]:
    config, layout, release = host.config, host.layout, shipment.release
    needed, prepare = shipment.difference(host), host.config.prepare
    says = f"send {counted(len(needed.sent), 'path')}, {size(needed.bytes_sent)}"
    if shipment.source:
        says += f", from {shipment.source}"
    if needed.same:
        says += f"; link {counted(len(needed.same), 'file')} that {host.facts.newest} has already"
    linked = (steps.link(config, release),) if config.shared.files or config.shared.dirs else ()
    prepared = (
        (steps.commands("prepare", prepare.commands, switch, phase=Phase.STAGE, timeout_s=prepare.timeout_s),)
        if prepare.commands
        else ()
    )
    return (
        steps.stage(layout, release, host.facts.newest if host.name in shipment.bases else None),
        steps.send(layout, release, says, timeout_s=6 * 3600),
        steps.check(layout, release, shipment.manifest.digest, copies=touched(config), linked=bool(needed.same)),
        *linked,
        *prepared,
        steps.seal(layout, release, again=bool(prepare.commands)),
    )


def expanding(host: Surveyed, switch: Switch, *, leads: bool) -> tuple[Step, ...]:
    settings = host.config.migrations
    if not settings or not leads:
        return ()
    initial = switch.previous is None and not host.facts.history.proven
    probe = () if switch.previous is None else proofs.probe(host.config, host.kinds, switch)
    return (*migrations.steps(settings, switch, initial=initial), *probe)


def touched(config: Config) -> bool:
    """Do commands run in the release? What they chmod or truncate must be nobody else's, so it is made of copies."""
    hooks, kinds = config.hooks, {process.kind for process in config.processes.values()}
    hooked = hooks.before_switch or hooks.after_switch
    return bool(config.prepare.commands or config.migrations or hooked or "command" in kinds)


def _sharing(host: Surveyed, leader: Surveyed) -> tuple[Step, ...]:
    """A host that shares the leader's database writes down what was done to it."""
    return () if host is leader else (steps.share(host.layout, leader.name),)


def changed(host: Surveyed, shipment: Shipment) -> tuple[str, ...]:
    """The ``environment`` files that have changed since what is live, or may have: then processes must be new."""
    base, wanted = shipment.bases.get(host.name), host.config.prepare.environment
    if host.facts.live is None:
        return ()
    if base is None or host.facts.newest != host.facts.live:
        return wanted
    now, then = ({e.path: e.sha256 for e in m.entries} for m in (shipment.manifest, base))
    return tuple(path for path in wanted if now.get(path) != then.get(path))


def _is_live(host: Surveyed, shipment: Shipment) -> bool:
    facts, base = host.facts, shipment.bases.get(host.name)
    proven = facts.live in facts.history.proven and facts.live in facts.complete and facts.live == facts.newest
    return proven and base is not None and base.digest == shipment.manifest.digest and not facts.armed


def proof_only(hosts: tuple[Surveyed, ...]) -> Plan:
    live = hosts[0].facts.live
    assert live is not None
    plan = {}
    for host in hosts:
        looks, wait_s = (proofs.prove, proofs.settled), 10.0 if host.kinds or host.config.health else 0.0
        each = (look(host.config, live, host.kinds, None, wait_s=wait_s) for look in looks)
        plan[host.name] = tuple(replace(step, phase=Phase.REHEARSE) for step in each)
    return Plan("already_live", 0, live, live, plan, (f"{live} is live already: only the proof is made again",))


def _replaced(hosts: tuple[Surveyed, ...], shipment: Shipment) -> tuple[str, ...]:
    return tuple(
        f"{h.name}: processes are replaced: {', '.join(paths)} {'' if h.name in shipment.bases else 'may have '}changed"
        for h in hosts
        if (paths := changed(h, shipment))
    )


def _notes(hosts: tuple[Surveyed, ...], shipment: Shipment) -> tuple[str, ...]:
    what = f"revision {shipment.revision} {shipment.subject}".rstrip() if shipment.revision else ""
    skewed = [
        f"{h.name}: its clock is {h.facts.clock_skew_s:+.0f} s off" for h in hosts if abs(h.facts.clock_skew_s) > 60
    ]
    replaced = _replaced(hosts, shipment)
    shipped = {entry.path for entry in shipment.manifest.entries}
    named = dict.fromkeys(path for h in hosts for path in h.config.prepare.environment)
    unshipped = [
        f"prepare.environment: {path} is not shipped, so it never changes" for path in named if path not in shipped
    ]
    alien = foreign(hosts, shipment.compiled)
    return tuple(filter(None, (what, *skewed, *unsettled(hosts), *replaced, *unshipped, *alien)))
