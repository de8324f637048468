"""The app servers that deploy.toml can name, and how each is asked whether it answers."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema

from .spelling import (
    DrainSeconds,
    HostHeader,
    Listen,
    OneLine,
    OptionalShell,
    PidFile,
    Seconds,
    Section,
    Shell,
    Unit,
    UnixUser,
    Url,
    unlike,
)

PLANNED_KINDS = (
    "uwsgi",
    "uvicorn",
    "granian",
    "hypercorn",
    "unit",
    "upstream",
    "docker",
    "php-fpm",
    "celery",
)
Scope: TypeAlias = Literal["user", "system"]


class Health(Section):
    """What is asked to see that a release answers; a URL alone stands for the table."""

    url: Url = ""
    host: HostHeader = ""
    timeout_s: Seconds = 5.0
    wait_s: Seconds = 30.0

    @model_validator(mode="before")
    @classmethod
    def _written_as_url(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, handler(core)]}

    @property
    def is_path(self) -> bool:
        """Whether the URL leaves the address to the process: ``/health``."""
        return self.url.startswith("/")


def full(health: Health | None) -> Health | None:
    """Return *health* when it says whom to ask; raise when it is only a path."""
    if health and health.is_path:
        raise unlike('a full URL, like "http://127.0.0.1:8000/health"', key="url")
    return health


def present(health: Health | None) -> Health | None:
    """Return *health* when it has a URL, else None."""
    return health if health and health.url else None


def asked(health: Health | None) -> Health | None:
    """Return *health*; raise when it was given without a URL, which would ask nothing without a word."""
    if health and not health.url:
        raise unlike('url = "/health"', key="url", found="nothing to ask")
    return health


SiteHealth = Annotated[Health | None, AfterValidator(full), AfterValidator(present)]
ProcessHealth = Annotated[Health | None, AfterValidator(asked)]
FullHealth = Annotated[Health | None, AfterValidator(asked), AfterValidator(full)]


class Served(Section):
    """What processes of every kind have."""

    rehearse: OptionalShell = ""
    drain_s: DrainSeconds = 30.0


class Systemd(Served):
    """An instance per release on a shared socket; without `listen` a worker."""

    kind: Literal["systemd"] = "systemd"
    command: OneLine
    listen: Listen = ""
    scope: Scope = "user"
    user: UnixUser = ""
    start_s: Seconds = 60.0
    before_stop: OptionalShell = ""
    health: ProcessHealth = None

    @field_validator("user")
    @classmethod
    def _of_the_system(cls, user: str, settings: ValidationInfo) -> str:
        if user and settings.data.get("scope") == "user":
            raise unlike('a user only with scope = "system"')
        return user

    @field_validator("health")
    @classmethod
    def _can_be_asked(cls, health: Health | None, settings: ValidationInfo) -> Health | None:
        if health and health.is_path and settings.data.get("listen") == "":
            raise unlike("listen beside it, or a full URL", key="url")
        return health


class Gunicorn(Served):
    """A gunicorn that runs already, found by its unit or pidfile and reloaded in place."""

    kind: Literal["gunicorn"] = "gunicorn"
    unit: Unit = ""
    pidfile: PidFile = Field(default="", validate_default=True)
    start: OptionalShell = Field(default="", validate_default=True)
    scope: Scope = "user"
    start_s: Seconds = 60.0
    health: FullHealth = None

    @field_validator("pidfile")
    @classmethod
    def _found_one_way(cls, pidfile: str, settings: ValidationInfo) -> str:
        if "unit" in settings.data and bool(settings.data["unit"]) == bool(pidfile):
            raise unlike("either unit or pidfile", found="both" if pidfile else "neither")
        return pidfile

    @field_validator("start")
    @classmethod
    def _started_one_way(cls, start: str, settings: ValidationInfo) -> str:
        if settings.data.get("pidfile") and not start:
            raise unlike("the command that starts it, since a dead master can't be signalled", found="nothing")
        if settings.data.get("unit") and start:
            raise unlike("no start beside unit: systemd starts it")
        return start

    @field_validator("scope")
    @classmethod
    def _of_a_unit(cls, scope: Scope, settings: ValidationInfo) -> Scope:
        if settings.data.get("pidfile") and scope == "system":
            raise unlike("scope only beside unit")
        return scope


class Command(Served):
    """Any other server: one command reloads it, another prints the name of the release it runs."""

    kind: Literal["command"] = "command"
    reload: Shell
    prove: Shell
    health: FullHealth = None


Process: TypeAlias = Systemd | Gunicorn | Command
KINDS: Mapping[str, type[Process]] = {"systemd": Systemd, "gunicorn": Gunicorn, "command": Command}
