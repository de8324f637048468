"""What deploy.toml can say, section by section; a `Config` is all of it for one host."""

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_serializer, field_validator

from .addresses import CONNECT_S, SILENT_S
from .balancing import Balancer
from .servers import Process, SiteHealth, Systemd
from .spelling import (
    Amount,
    AmountOrNone,
    App,
    Count,
    Database,
    Flag,
    HostName,
    OptionalShell,
    Output,
    PatienceSeconds,
    Pattern,
    Planned,
    ProcessName,
    ReleasePath,
    Root,
    Seconds,
    Section,
    SettleSeconds,
    SharedPath,
    Shell,
    Source,
    unlike,
)
from .wording import shown


class Build(Section):
    """How the controller makes what is shipped."""

    source: Source = "git"
    command: OptionalShell = ""
    test: OptionalShell = ""
    output: Output = "."
    exclude: tuple[Pattern, ...] = ()
    timeout_s: Seconds = 1_800.0


class Shared(Section):
    """What outlives releases and is linked into each."""

    files: tuple[SharedPath, ...] = ()
    dirs: tuple[SharedPath, ...] = ()

    @field_validator("files", "dirs")
    @classmethod
    def _lie_apart(cls, paths: tuple[str, ...], settings: ValidationInfo) -> tuple[str, ...]:
        ordered = sorted((*settings.data.get("files", ()), *paths), key=lambda path: path.split("/"))
        for outer, inner in pairwise(ordered):
            if inner == outer or inner.startswith(f"{outer}/"):
                both = f"{shown(outer)} and {shown(inner)}"
                raise unlike("paths that do not contain each other", found=both)
        return paths


class Prepare(Section):
    """What runs on the host in a new release before it is switched to."""

    commands: tuple[Shell, ...] = ()
    environment: tuple[ReleasePath, ...] = ()
    timeout_s: Seconds = 1_800.0


class Migrations(Section):
    """How the database is brought from the schema of one release to that of the next."""

    kind: Annotated[Literal["command"], Planned(("django", "alembic", "sql"), built='only "command"')]
    pending: Shell
    expand: Shell
    contract: OptionalShell = ""
    run_on: Literal["leader", "each"] = "leader"
    timeout_s: Seconds = 3_600.0
    database: Database = ""  # hosts with the same name share it


class LocalHooks(Section):
    """Commands that run on the controller."""

    before_switch: tuple[Shell, ...] = ()
    after_switch: tuple[Shell, ...] = ()


class Hooks(Section):
    """Commands that run on each host, in the new release."""

    before_switch: tuple[Shell, ...] = ()
    after_switch: tuple[Shell, ...] = ()
    local: LocalHooks = LocalHooks()
    timeout_s: Seconds = 600.0


class Strategy(Section):
    """In which order and how many at a time hosts switch."""

    kind: Literal["all", "rolling", "canary"] = "all"
    groups: tuple[str, ...] = ()  # names of tables, which only the whole file has
    batch: Amount = 1
    min_healthy: AmountOrNone = 0
    pause_s: SettleSeconds = 0.0
    hosts: tuple[HostName, ...] = ()
    count: Count = 1
    watch_s: SettleSeconds = 60.0
    hold: Flag = False
    check: OptionalShell = ""
    on_failure: Literal["revert", "stop"] = "revert"
    settle_s: SettleSeconds = 2.0

    @field_validator("hold")
    @classmethod
    def _holds_a_canary(cls, hold: bool, settings: ValidationInfo) -> bool:
        if hold and settings.data.get("kind", "canary") != "canary":
            raise unlike('false, or kind = "canary" beside it')
        return hold


class Limits(Section):
    """How long a host that does not answer, a line without a sign of life and a client that is gone are waited for."""

    connect_s: PatienceSeconds = CONNECT_S
    silent_s: PatienceSeconds = SILENT_S
    lock_s: PatienceSeconds = 60.0

    @property
    def reconnect_s(self) -> float:
        """Longer than the host waits with the lock."""
        return self.lock_s * 1.25


class Keep(Section):
    """What prune leaves."""

    releases: Count = 5


class Config(Section):
    """All of deploy.toml as it holds for one host."""

    app: App
    root: Root
    build: Build = Build()
    shared: Shared = Shared()
    prepare: Prepare = Prepare()
    migrations: Migrations | None = None
    processes: Mapping[ProcessName, Annotated[Process, Field(discriminator="kind")]] = Field(
        default_factory=lambda: MappingProxyType({})
    )
    health: SiteHealth = None
    hooks: Hooks = Hooks()
    strategy: Strategy = Strategy()
    balancer: Balancer | None = None
    connection: Limits = Limits()
    keep: Keep = Keep()

    @field_validator("processes")
    @classmethod
    def _listen_apart(cls, processes: Mapping[str, Process]) -> Mapping[str, Process]:
        holders: dict[str, str] = {}
        for name, process in processes.items():
            if isinstance(process, Systemd) and process.listen:
                holder = holders.setdefault(process.listen, name)
                if holder != name:
                    raise unlike(f"another socket than {holder} has", key=(name, "listen"), found=process.listen)
        return MappingProxyType(dict(processes))

    @field_serializer("processes", mode="wrap")
    def _as_table(self, processes: Mapping[str, Process], serialize: Any) -> Any:
        return serialize(dict(processes))

    def __hash__(self) -> int:
        return hash((self.app, self.root, tuple(self.processes.items())))
