"""The hosts of a deploy, and which of them ``--host`` means."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import count

from .addresses import Destination, named, split
from .errors import UsageError
from .settings import Config

Groups = Mapping[str, tuple["Target", ...]]


@dataclass(frozen=True, slots=True)
class Target:
    """One host of a deploy."""

    address: str  # as written: "deploy@web1.example.com:2222"
    user: str  # "" leaves it to ~/.ssh/config
    hostname: str
    port: int | None  # None leaves it to ~/.ssh/config
    group: str  # NAME of [hosts.NAME]
    config: Config = field(repr=False)
    label: str = ""  # tells it from others at the same address
    order: int = field(default=0, compare=False)  # its place in deploy.toml

    @classmethod
    def at(cls, address: str, *, group: str, config: Config) -> "Target":
        """Read *address*; raises `ValueError` as `split` does."""
        return cls(address, *split(address), group, config)

    @property
    def name(self) -> str:
        """What people see: the host name, with the port when one is given, and the root where several are deployed."""
        return self.label or named(self.hostname, self.port)

    @property
    def destination(self) -> Destination:
        """Where its connection leads."""
        limits = self.config.connection
        return Destination(self.name, self.user, self.hostname, self.port, limits.connect_s, limits.silent_s)

    @property
    def place(self) -> tuple[str, int, str]:
        """Which root of which machine it is, as far as that is written: the same whoever is named with it."""
        return (self.hostname.lower(), self.port or 22, str(self.config.root))

    def is_called(self, word: str) -> bool:
        """Whether *word* is its address, with or without the user."""
        return word in (self.address, self.name)


def ordered(groups: Groups) -> Groups:
    """The same, with the place of each in deploy.toml."""
    place = count()
    return {name: tuple(replace(t, order=next(place)) for t in targets) for name, targets in groups.items()}


def chosen(groups: Groups, host: str, without: str = "") -> tuple[Target, ...]:
    """Return the targets that *host* names, in its order, but those that *without* names; "" means the only group.

    Raises `UsageError` for a name that is unknown or ambiguous, when a host is named twice, and when none is left.
    """
    named, gone = _named(groups, host), left_out(groups, host, without)
    left = tuple(target for target in named if target.name not in gone)
    if not left:
        raise UsageError("--without leaves no host", hint=f"hosts: {', '.join(target.name for target in named)}")
    return left


def left_out(groups: Groups, host: str, without: str) -> tuple[str, ...]:
    """Return the names of those that *host* names and *without* leaves out."""
    gone = {(target.group, target.address) for target in _named(groups, without)} if without.strip() else set()
    return tuple(target.name for target in _named(groups, host) if (target.group, target.address) in gone)


def _named(groups: Groups, host: str) -> tuple[Target, ...]:
    if not host.strip() and len(groups) > 1:
        raise UsageError(f"which hosts? deploy.toml has {', '.join(groups)}", hint="name some with --host")
    words = [word.strip() for word in host.split(",")] if host.strip() else list(groups)
    targets = tuple(target for word in words for target in _called(groups, word))
    places = [(target.name.lower(), target.config.root) for target in targets]
    for target, place in zip(targets, places, strict=True):
        if places.count(place) > 1:
            raise UsageError(f"{target.name} is named twice", hint="name each host once")
    shared = {name for name, _ in places if [other for other, _ in places].count(name) > 1}
    return tuple(
        replace(target, label=f"{target.name}:{target.config.root}") if target.name.lower() in shared else target
        for target in targets
    )


def _called(groups: Groups, word: str) -> tuple[Target, ...]:
    if word in groups:
        return groups[word]
    called = tuple(target for targets in groups.values() for target in targets if target.is_called(word))
    if not called:
        raise _unknown(groups, word)
    if len(called) > 1:
        tables = ", ".join(target.group for target in called)
        raise UsageError(f"{word} is in more than one table: {tables}", hint="name the table with --host")
    return called


def _unknown(groups: Groups, word: str) -> UsageError:
    addresses = [name for targets in groups.values() for target in targets for name in (target.name, target.address)]
    near = get_close_matches(word, (*groups, *addresses), n=1)
    return UsageError(
        f"no such host: {word!r}; deploy.toml has {', '.join(groups)}",
        hint=f'did you mean "{near[0]}"?' if near else "name a table [hosts.NAME] or an address in one",
    )
