"""In which order hosts switch, and how many at a time: a pure function for each strategy, and one for their groups."""

from math import ceil

from .config import Strategy
from .errors import UsageError
from .plan import Batch
from .surveyed import Surveyed

Hosts = tuple[Surveyed, ...]
Names = tuple[str, ...]


def batches(strategy: Strategy, hosts: Hosts) -> tuple[Batch, ...]:
    """The batches in which *hosts* switch; each host is in one of them, and no batch has hosts of two ``groups``.

    Raises `UsageError` where too few would be left to serve.
    """
    parts = grouped(strategy, hosts)
    match strategy.kind:
        case "rolling":
            watch_s, cut = strategy.pause_s, [rolling(strategy, part) for part in parts]
        case "canary":
            first = canaries(strategy, hosts)
            watch_s, cut = strategy.watch_s, [canary(first, part) for part in parts]
        case _:
            watch_s, cut = 0.0, [[_names(part)] for part in parts]
    return _paused([names for each in cut for names in each], watch_s, strategy.check)


def grouped(strategy: Strategy, hosts: Hosts) -> tuple[Hosts, ...]:
    """The hosts of each of ``groups`` in their order, then those of no group; all at once where it names none."""
    named = [tuple(host for host in hosts if host.group == group) for group in strategy.groups]
    rest = tuple(host for host in hosts if host.group not in strategy.groups)
    return tuple(part for part in (*named, rest) if part)


def rolling(strategy: Strategy, hosts: Hosts) -> list[Names]:
    """So many at a time, who is ill first, and never so many that fewer than ``min_healthy`` are left to serve.

    How many that is, each group may say in its own table.
    """
    own = hosts[0].config.strategy if strategy.groups else strategy
    size = min(_share(own.batch, len(hosts)), len(hosts))
    ordered = sorted(hosts, key=healthy)
    cut = [tuple(ordered[i : i + size]) for i in range(0, len(hosts), size)]
    _check_enough_serve(own, cut, hosts[0].group if hosts[0].group in strategy.groups else "")
    return [_names(batch) for batch in cut]


def _check_enough_serve(strategy: Strategy, cut: list[Hosts], group: str) -> None:
    """Raise `UsageError` for a batch that would take those that serve below ``min_healthy``; who is ill is no loss."""
    count = sum(map(len, cut))
    least = _share(strategy.min_healthy, count)
    for number, batch in enumerate(cut):
        left = sum(map(len, cut[:number])) + sum(healthy(host) for later in cut[number + 1 :] for host in later)
        if left < least and any(map(healthy, batch)):
            well = sum(healthy(host) for each in cut for host in each)
            raise UsageError(
                f"strategy.min_healthy: {least} must go on serving, but {well} of {count}"
                f"{f' of {group}' if group else ''} are healthy and {len(batch)} switch at a time",
                hint="a smaller strategy.batch, or a smaller strategy.min_healthy",
            )


def undercut(hosts: Hosts, proven: Names, batch: Names) -> str:
    """Why *batch* must not switch, as *hosts* are now: too few would serve. Those of *proven* do; empty: enough do."""
    strategy = hosts[0].config.strategy
    for part in grouped(strategy, hosts) if strategy.kind == "rolling" else ():
        own = part[0].config.strategy if strategy.groups else strategy
        least, mine = _share(own.min_healthy, len(part)), [host for host in part if host.name in batch]
        others = [host for host in part if host.name not in batch]
        ill = [host.name for host in others if host.name not in proven and not healthy(host)]
        if len(others) - len(ill) < least and any(map(healthy, mine)):
            left = f"{len(others) - len(ill)} would beside {', '.join(batch)}"
            return f"strategy.min_healthy: {least} must go on serving, but {left} (ill now: {', '.join(ill)})"
    return ""


def canary(first: Names, hosts: Hosts) -> list[Names]:
    """Those of *first* among the hosts; then the rest of them at once."""
    names = _names(hosts)
    cut = (tuple(n for n in names if n in first), tuple(n for n in names if n not in first))
    return [part for part in cut if part]


def canaries(strategy: Strategy, hosts: Hosts) -> Names:
    """Who goes first: those that ``hosts`` names, else the first ``count`` of each group that has more of them.

    Where none of those that are named takes part, as many others stand in for them.
    """
    names, parts, count = _names(hosts), grouped(strategy, hosts), len(strategy.hosts) or strategy.count
    named = tuple(n for part in parts for n in _names(part) if n in strategy.hosts)
    counted = tuple(n for part in parts if len(part) > count for n in _names(part)[:count])
    return named or counted or names[:count]


def check_fits(strategy: Strategy, names: Names) -> None:
    """Raise `UsageError` where *strategy* cannot be had with hosts of these *names*, were they all there."""
    count = len(names)
    if count < 2:
        return
    if strategy.kind == "rolling" and isinstance(strategy.batch, int) and strategy.batch > count:
        raise UsageError(
            f"strategy.batch: {strategy.batch} at a time, but there are {count} hosts",
            hint='a share grows with them: batch = "50%"',
        )
    if strategy.kind != "canary":
        return
    if unknown := [name for name in strategy.hosts if name not in names]:
        raise UsageError(
            f"strategy.hosts: {unknown[0]} is none of the hosts of this deploy",
            hint=f"they are {', '.join(names)}",
        )
    if (len(strategy.hosts) or strategy.count) >= count:
        raise UsageError(f"strategy: all {count} hosts would be canaries", hint='fewer, or kind = "all"')


def healthy(host: Surveyed) -> bool:
    """Does it serve what is live there, as far as a survey tells? What cannot be told is taken for well."""
    live = host.facts.live
    if live is None or host.facts.live_kind != "link":
        return False
    asked = (kind for kind in host.kinds if host.facts.answer.below(kind.name).pairs)
    return all(bool(kind.proof(live, host.facts)) for kind in asked)


def _names(hosts: Hosts) -> Names:
    return tuple(host.name for host in hosts)


def _paused(cut: list[Names], watch_s: float, check: str) -> tuple[Batch, ...]:
    """Each batch but the last is watched before the next begins; *check* must agree after each."""
    return (*(Batch(names, watch_s, check) for names in cut[:-1]), Batch(cut[-1], check=check))


def _share(wanted: int | str, of: int) -> int:
    """A count as it is; a share of *of*, at least one unless it is none.

    >>> _share("25%", 10), _share("25%", 2), _share(3, 10), _share("0%", 10)
    (3, 1, 3, 0)
    """
    return ceil(of * int(wanted.removesuffix("%")) / 100) if isinstance(wanted, str) else wanted
