"""How names, paths, commands and URLs of deploy.toml may be spelled; what passes here is safe to hand on."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from .wellformed import SOCKET_PATH_BYTES, is_address, is_clean, is_listen, is_shareable, is_url
from .wording import shown

SYSTEM = frozenset({"etc", "usr", "bin", "boot", "dev", "proc", "sys"})
DAY_S = 86_400

PRINTED = r"[^\x00-\x1f\x7f-\x9f]"
RELATIVE = rf"(?!/){PRINTED}+"
COMMAND = r"[^\x00]*[^\x00\s][^\x00]*"
IN_URL = r"[!#-&(-\[\]-_a-~]*"  # printable ASCII but space, quotes and backslash
FULL_URL = rf"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?(?:/{IN_URL})?"


class Section(BaseModel):
    """One table: frozen, and a key it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def unlike(expected: str, **more: Any) -> PydanticCustomError:
    """Say what was *expected*; *more* is `key` (below the place), `choices` or `found` (words to show)."""
    return PydanticCustomError("unlike", "{expected}", {"expected": expected, **more})


@dataclass(frozen=True, slots=True)
class Spelled:
    """Text that matches the whole of *pattern*, and *holds* where a pattern can't say it."""

    pattern: str
    expected: str
    holds: Callable[[str], bool] = bool
    choices: tuple[str, ...] = ()

    def check(self, text: str) -> str:
        """Return *text*, or raise what was expected."""
        if not re.fullmatch(self.pattern, text) or (text and not self.holds(text)):
            raise unlike(self.expected, choices=self.choices)
        return text

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(core), "pattern": f"^(?:{self.pattern})$"}


@dataclass(frozen=True, slots=True)
class Planned:
    """Refuses by name what the design has and the code has not yet."""

    kinds: tuple[str, ...]
    built: str

    def check(self, value: Any) -> Any:
        """Return *value*, or raise that it is not built yet."""
        if value in self.kinds:
            raise PydanticCustomError("planned", "not built yet", {"kind": value, "built": self.built})
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.check, handler(source))


def rooted(value: Any) -> PurePosixPath:
    """Read the root of an app, or raise what was expected."""
    text = str(value) if isinstance(value, str | PurePosixPath) else ""
    if not re.fullmatch(r"(?:/[A-Za-z0-9._-]+){2,}", text) or not is_clean(text):
        raise unlike('an absolute path of at least two plain names, like "/srv/shop"')
    if text.split("/")[1] in SYSTEM:
        raise unlike('a directory of its own outside the system\'s, like "/srv/shop"')
    return PurePosixPath(text)


def rooted_or_none(value: Any) -> PurePosixPath | None:
    """Read a root, or none."""
    return None if value is None else rooted(value)


def amount(least: int) -> BeforeValidator:
    """Read a count of at least *least*, or a share of all like ``25%``."""

    def read(value: Any) -> Any:
        count = isinstance(value, int) and not isinstance(value, bool) and least <= value <= 1_000
        share = isinstance(value, str) and re.fullmatch(r"[0-9]{1,3}%", value) and least <= int(value[:-1]) <= 100
        if not (count or share):
            raise unlike(
                f'a whole number from {least}, or a share from {least} to 100 %, like "25%"', found=shown(value)
            )
        return value

    return BeforeValidator(read)


App = Annotated[str, Spelled(r"[a-z][a-z0-9-]{0,30}", "a name of at most 31 small letters, digits and -")]
ProcessName = Annotated[
    str,
    Spelled(
        r"[a-z][a-z0-9-]{0,30}",
        "a name of at most 31 small letters, digits and -, without -private or -rehearsal at its end",
        lambda name: not name.endswith(("-private", "-rehearsal")),  # units of ours beside its own
    ),
]
Root = Annotated[PurePosixPath, BeforeValidator(rooted)]
Shell = Annotated[str, Spelled(COMMAND, "a command")]
OptionalShell = Annotated[str, Spelled(rf"(?:{COMMAND})?", 'a command, or "" for none')]
OneLine = Annotated[str, Spelled(r"[^\x00\r\n]*[^\x00\s][^\x00\r\n]*", "a command on a single line")]
Pattern = Annotated[str, Spelled(rf"{PRINTED}+", "a gitignore pattern")]
SharedPath = Annotated[
    str,
    Spelled(
        RELATIVE,
        'a relative path, like "media" (not RELEASE, .release)',
        is_shareable,
    ),
]
ReleasePath = Annotated[str, Spelled(RELATIVE, 'a relative path, like "uv.lock"', is_clean)]
Output = Annotated[
    str,
    Spelled(
        RELATIVE,
        'a relative directory, like "." or "dist"',
        lambda path: path == "." or is_clean(path),
    ),
]
PidFile = Annotated[
    str, Spelled(rf"{PRINTED}*", 'a path, absolute or below root, like "shared/gunicorn.pid"', is_clean)
]
Source = Annotated[
    str,
    Spelled(
        rf"git|folder|(?!-){PRINTED}+\.(?:tar\.gz|tgz|zip)",
        '"git", "folder" or a path to a .tar.gz, .tgz or .zip',
        choices=("git", "folder"),
    ),
]
Database = Annotated[str, Spelled(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,62})?", 'a name, like "main"')]
UnixUser = Annotated[str, Spelled(r"(?:[a-z_][a-z0-9_-]{0,31})?", 'the name of an account, like "www-data"')]
Unit = Annotated[
    str, Spelled(r"(?:[A-Za-z0-9][A-Za-z0-9@._-]{0,240}\.service)?", 'a systemd unit, like "shop.service"')
]
Listen = Annotated[
    str,
    Spelled(
        r"(?:[0-9.]+:[0-9]+|\[[0-9A-Fa-f:.]+\]:[0-9]+|/[A-Za-z0-9._@/-]+)?",
        'an address with a port, like "127.0.0.1:8000" or "[::1]:8000", or an absolute socket path',
        is_listen,
    ),
]
Url = Annotated[
    str,
    Spelled(
        rf"(?:/{IN_URL}|{FULL_URL})?",
        'a path or a full URL without user, spaces or quotes, like "http://127.0.0.1:8000/health"',
        is_url,
    ),
]
HostHeader = Annotated[
    str, Spelled(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,252}(?::[0-9]{1,5})?)?", 'a host, like "shop.example.com"')
]
Seconds = Annotated[float, Strict(), Field(gt=0, le=DAY_S, allow_inf_nan=False)]
DrainSeconds = Annotated[float, Strict(), Field(gt=0, le=30 * DAY_S, allow_inf_nan=False)]
SettleSeconds = Annotated[float, Strict(), Field(ge=0, le=3_600, allow_inf_nan=False)]
PatienceSeconds = Annotated[float, Strict(), Field(ge=1, le=3_600, allow_inf_nan=False)]
Amount = Annotated[int | str, amount(1)]
AmountOrNone = Annotated[int | str, amount(0)]
HostName = Annotated[str, Spelled(r"[A-Za-z0-9_\[][A-Za-z0-9._:/\[\]-]{0,260}", "a host of this file, by its name")]
Count = Annotated[int, Strict(), Field(ge=1, le=1_000)]
Flag = Annotated[bool, Strict()]
OptionalRoot = Annotated[PurePosixPath | None, BeforeValidator(rooted_or_none)]
OptionalAddress = Annotated[
    str,
    Spelled(
        r"(?:(?:[A-Za-z_][A-Za-z0-9._-]{0,31}@)?(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][A-Za-z0-9._-]{0,252})(?::[0-9]+)?)?",
        'an address, like "deploy@lb1.example.com:2222"',
        is_address,
    ),
]
PlainPath = Annotated[
    str,
    Spelled(r"/[A-Za-z0-9._/@+-]+", 'an absolute path of plain names, like "/etc/nginx/shop-servers.conf"', is_clean),
]
SocketPath = Annotated[
    str,
    Spelled(
        r"/[A-Za-z0-9._/@+-]+",
        f'an absolute socket path of at most {SOCKET_PATH_BYTES} bytes, like "/run/haproxy/admin.sock"',
        lambda path: is_clean(path) and len(path) <= SOCKET_PATH_BYTES,
    ),
]
ServerName = Annotated[str, Spelled(r"[A-Za-z0-9_.:-]+", "a name of letters, digits and _ . : -")]
ServerPattern = Annotated[
    str,
    Spelled(
        r"[A-Za-z0-9_.:/\[\]{}-]+",
        'how the balancer calls the host, like "{host}", "{short}" or "{host}:8000"',
        lambda text: not re.search(r"[{}]", text.replace("{host}", "").replace("{short}", "")),
    ),
]
