"""``deploy.toml`` → one frozen `Config` for each host; every mistake is reported at once."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .addresses import repeated, split
from .document import Document, overlaid, read
from .errors import ConfigError
from .hostlist import Ask, asked, listed, nobody
from .mistakes import explained
from .servers import Command, Gunicorn, Health, Process, Systemd
from .settings import Build, Config, Hooks, Keep, LocalHooks, Migrations, Prepare, Shared, Strategy
from .targets import Groups, Target, chosen, ordered
from .wording import Loc, mistake, nearest, quoted, shown

__all__ = [
    "Build",
    "Command",
    "Config",
    "Gunicorn",
    "Health",
    "Hooks",
    "Keep",
    "LocalHooks",
    "Migrations",
    "Prepare",
    "Process",
    "Shared",
    "Strategy",
    "Systemd",
    "Target",
    "load",
    "schema",
]

BESIDE = ("extends", "hosts")  # top-level keys of the file that no host's `Config` has
GROUP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,30}")
ADDRESS_EXPECTED = '"[user@]host[:port]", like "deploy@web1.example.com:2222", IPv6 in brackets'


def load(path: Path, *, host: str = "", without: str = "", ask: Ask = nobody) -> tuple[Target, ...]:
    """Return the targets that *host* names, in its order, each with the config that holds for it.

    What *without* names is left out.

    *host* has names of ``[hosts.NAME]`` or addresses that occur in one, separated by commas; "" means the
    only table.

    Raises as `read` and `tables` do, and `UsageError` for a *host* that is missing, unknown, ambiguous or named twice,
    and when *without* leaves none.
    """
    return chosen(tables(read(path), host=host, ask=ask), host, without)


def tables(document: Document, *, host: str, ask: Ask) -> Groups:
    """Return the targets of every table; of those with `from`, only where *host* needs them: *ask* runs the command.

    Raises `ConfigError` with every mistake of the file, whichever hosts are named; `Refused` for a command that does
    not print hosts.
    """
    groups = {name: Group(name, document) for name in _tables(document)}
    mistakes = [*_hosts_mistakes(document), *(line for group in groups.values() for line in group.mistakes())]
    if not groups:
        mistakes += _wrong(_around(document), document.place)
    if mistakes:
        raise ConfigError(str(document.path), tuple(dict.fromkeys(mistakes)))
    written = {name: group.targets() for name, group in groups.items()}
    needed = asked((name for name, group in groups.items() if group.command), written, host)
    return ordered({name: groups[name].targets(ask) if name in needed else there for name, there in written.items()})


@dataclass(frozen=True, slots=True)
class Group:
    """One ``[hosts.NAME]``: its addresses, and what it overrides in *document*."""

    name: str
    document: Document

    @property
    def table(self) -> Mapping[str, Any]:
        """Its table as written, over those it extends."""
        table: Mapping[str, Any] = self.document.table["hosts"][self.name]
        return table

    @property
    def settings(self) -> dict[str, Any]:
        """The file as it holds for this group."""
        return overlaid(
            _around(self.document),
            {key: value for key, value in self.table.items() if key not in ("ssh", "from")},
        )

    @property
    def addresses(self) -> list[Any]:
        """What `ssh` lists; one string is a list of one."""
        ssh = self.table.get("ssh", [])
        return ssh if isinstance(ssh, list) else [ssh]

    @property
    def command(self) -> str:
        """What prints its hosts, where `from` says so."""
        command: str = self.table.get("from", "")
        return command

    def place(self, loc: Loc) -> str:
        """Write where *loc* was decided: in this table, or in the file around it."""
        own: Loc = ("hosts", self.name, *loc)
        written = self.document.depth(own) - 2
        overrides = written == len(loc) or written > self.document.depth(loc)
        return self.document.place(own if overrides else loc)

    def mistakes(self) -> Iterator[str]:
        """Yield one line for each mistake of its names, its addresses and its settings."""
        own: Loc = ("hosts", self.name)
        if not GROUP_NAME.fullmatch(self.name):
            yield mistake(self.document.place(own), "a name of letters, digits, - and _", shown(self.name))
        yield from self._from_mistakes() if "from" in self.table else self._address_mistakes()
        yield from self._order_mistakes()
        yield from _wrong(self.settings, self.place)

    def _from_mistakes(self) -> Iterator[str]:
        place, command = self.document.place(("hosts", self.name, "from")), self.table["from"]
        if not isinstance(command, str) or not command.strip() or "\0" in command:
            yield mistake(place, "a command that prints one address per line", shown(command))
        if "ssh" in self.table:
            yield mistake(place, "either ssh or from", "both")

    def _address_mistakes(self) -> Iterator[str]:
        place = self.document.place(("hosts", self.name, "ssh"))
        if not self.table.get("ssh"):
            yield mistake(place, 'addresses, like ["deploy@web1.example.com"]', "none")
            return
        wrong = [address for address in self.addresses if not _is_address(address)]
        yield from (mistake(place, ADDRESS_EXPECTED, shown(address)) for address in wrong)
        for name in () if wrong else repeated(self.addresses):
            yield mistake(place, "each host once", f"{shown(name)} again")

    def _order_mistakes(self) -> Iterator[str]:
        strategy = self.settings.get("strategy")
        found = strategy.get("groups") if isinstance(strategy, Mapping) else None
        groups: list[Any] = found if isinstance(found, list) else []
        tables, place = _tables(self.document), self.place(("strategy", "groups"))
        for i, group in enumerate(groups):
            if group in groups[:i]:
                yield mistake(place, "each table once", f"{shown(group)} again")
            elif isinstance(group, str) and group not in tables:
                yield mistake(place, "names of tables [hosts.NAME]", shown(group) + nearest(group, tables))

    def targets(self, ask: Ask | None = None) -> tuple[Target, ...]:
        """Return its hosts, those that its command prints with *ask*; call it when there are no mistakes."""
        config, found = Config.model_validate(self.settings), self.addresses
        if self.command and ask is not None:
            place = self.document.place(("hosts", self.name, "from"))
            found = list(listed(ask(place, self.command), place=place, command=self.command))
        return tuple(Target.at(address, group=self.name, config=config) for address in found)


def schema() -> dict[str, Any]:
    """Return the JSON schema of the file, for editors.

    It requires no key, since any can come from an extended file or stand in a host table: `load` has the
    last word.
    """
    config = Config.model_json_schema()
    sections, keys = config.pop("$defs"), config["properties"]
    ssh = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
    named = {"ssh": ssh, "from": {"type": "string"}}
    group = {"type": "object", "additionalProperties": False, "properties": {**named, **keys}}
    beside = {"extends": {"type": "string"}, "hosts": {"type": "object", "additionalProperties": group}}
    whole = {**config, "title": "deploy.toml", "properties": {**beside, **keys}, "$defs": sections}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_without_duties(whole)}


def _without_duties(part: Any) -> Any:
    """Drop from a schema what demands a key, and let a table without its `kind` be any kind."""
    if isinstance(part, list):
        return [_without_duties(item) for item in part]
    if not isinstance(part, dict):
        return part
    renamed = {"anyOf" if key == "oneOf" else key: value for key, value in part.items()}
    return {key: _without_duties(value) for key, value in renamed.items() if key not in ("required", "discriminator")}


def _around(document: Document) -> dict[str, Any]:
    """Return what the file says outside its host tables."""
    return {key: value for key, value in document.table.items() if key not in BESIDE}


def _tables(document: Document) -> tuple[str, ...]:
    """Return the names of the tables below ``hosts``."""
    hosts = document.table.get("hosts")
    if not isinstance(hosts, Mapping):
        return ()
    return tuple(name for name, table in hosts.items() if isinstance(table, Mapping))


def _hosts_mistakes(document: Document) -> Iterator[str]:
    """Yield the mistakes of what holds the host tables."""
    hosts = document.table.get("hosts")
    if not isinstance(hosts, Mapping) or not hosts:
        found = "nothing" if hosts is None or hosts == {} else shown(hosts)
        yield mistake(document.place(("hosts",)), 'a table [hosts.NAME] with ssh = ["…"]', found)
        return
    for name in (name for name in hosts if name not in _tables(document)):
        expected = f'a table [hosts.{quoted(name)}] with ssh = ["…"]'
        yield mistake(document.place(("hosts", name)), expected, shown(hosts[name]))


def _wrong(settings: Mapping[str, Any], place: Callable[[Loc], str]) -> tuple[str, ...]:
    """Return one line for each mistake that *settings* have as a config."""
    try:
        Config.model_validate(settings)
    except ValidationError as error:
        return tuple(explained(error, place, BESIDE))
    return ()


def _is_address(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(split(value))
    except ValueError:
        return False
