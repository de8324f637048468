"""`Step` → POSIX sh: the only place where a value becomes shell text."""

import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .history import prefix
from .plan import Step

HERE = Path(__file__).parent
SHARED = HERE / "shared" if (HERE / "shared").is_dir() else HERE.parent
TEMPLATES = SHARED / "templates"
USUAL = (
    *("base", "settling", "settle", "health", "facts", "survey", "begin", "verifying", "stage", "check", "verify"),
    *("seal", "waiter", "arm", "publish", "prove", "confirm", "finish"),
)


def quoted(value: object) -> str:
    """One value as one shell word; a tuple as one word for each of its items.

    >>> quoted("it's"), quoted(("a b", "$c")), quoted(7), quoted("")
    ('\\'it\\'"\\'"\\'s\\'', "'a b' '$c'", '7', "''")
    """
    if isinstance(value, bool) or value is None:
        return "1" if value else "''"
    if isinstance(value, Mapping):
        raise TypeError("a mapping is no shell word")
    if isinstance(value, (tuple, list, set, frozenset)):
        return " ".join(quoted(item) for item in value)
    return shlex.quote(str(value))


@cache
def environment() -> Environment:
    """The templates, with every ``{{ }}`` quoted and every undefined name an error."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        finalize=quoted,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def make_ready() -> None:
    """Compile what nearly every command needs: it takes as long as two round trips, and there are hosts to wait for."""
    for name in USUAL:
        environment().get_template(f"remote/{name}.sh.j2")


def render(step: Step, *, event: Mapping[str, object] | None = None) -> str:
    """The script of *step*; with *event* it journals that it begins and how it ends."""
    template = environment().get_template(f"remote/{step.template or step.name}.sh.j2")
    return template.render(**step.values, event=prefix(event) if event else "")


def rootscript(**values: object) -> str:
    """The script that `setup` leaves for root to read and run."""
    return environment().get_template("systemd/superuser.sh.j2").render(**values)


@cache
def source(name: str) -> str:
    """A shell file that needs no values."""
    return (TEMPLATES / name).read_text()
