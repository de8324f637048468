"""A session with the host of an application, as commands open it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from releases.config import load
from releases.connection import connect
from releases.lines import Script
from releases.session import Session
from releases.settings import Limits
from tests.app import App


@contextmanager
def session(
    app: App, *, locked: bool = False, first: Sequence[Script] = (), limits: Limits | None = None
) -> Iterator[Session]:
    """A session with the host of *app*, with its lock or without."""
    (target,) = load(app.folder / "deploy.toml", host="", without="")
    connection = connect(target.destination, ssh_config=app.ssh_config)
    lock = str(app.root / ".switchover" / "lock") if locked else ""
    opened = Session(connection, target.name, lock=lock, hear=lambda line: None, first=first, limits=limits)
    try:
        yield opened
    finally:
        opened.close()
