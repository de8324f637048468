"""A socket that begins before ssh's libraries are there leads where ssh would."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from releases.addresses import Destination
from releases.sockets import begun, dialed


@pytest.fixture
def listens() -> Iterator[socket.socket]:
    """A host."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home without ~/.ssh/config."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def _to(server: socket.socket) -> Destination:
    return Destination("web1", "", "127.0.0.1", server.getsockname()[1], 5.0, 5.0)


def test_what_has_begun_is_what_is_used(listens: socket.socket, home: Path) -> None:
    """Once; with a config that says only who we are, too."""
    (home / ".ssh" / "config").write_text("Host *\n  User ana\n  IdentityFile ~/.ssh/id\n")
    early = begun(_to(listens))
    accepted, _ = listens.accept()
    with dialed("127.0.0.1", _to(listens).port or 0, _to(listens), early) as used, accepted:
        used.sendall(b"x")
        assert accepted.recv(1) == b"x"
    assert early
    assert early.taken("127.0.0.1", _to(listens).port or 0) is None


@pytest.mark.parametrize(
    "line", ["HostName other", "port 2222", "ProxyJump bastion", "ProxyCommand nc %h %p", "Include more", "Match all"]
)
def test_nothing_begins_where_the_config_may_lead_elsewhere(listens: socket.socket, home: Path, line: str) -> None:
    """Nobody is called whom ssh would not call; nor where it cannot be read."""
    (home / ".ssh" / "config").write_text(f"Host web1\n\t{line}\n")
    assert begun(_to(listens)) is None
    (home / ".ssh" / "config").unlink()
    (home / ".ssh" / "config").mkdir()
    assert begun(_to(listens)) is None


def test_one_that_leads_elsewhere_is_closed_and_not_used(listens: socket.socket) -> None:
    """All of the configuration has the last word."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        early = begun(_to(listens))
        accepted, _ = listens.accept()
        with dialed("127.0.0.1", other.getsockname()[1], _to(other), early), accepted:
            reached, _ = other.accept()
            reached.close()
            assert accepted.recv(1) == b""


def test_why_none_has_begun_is_told_as_if_it_were_tried_now() -> None:
    """A host that is down is not waited for twice."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        to = _to(closed)
    early = begun(to)
    with pytest.raises(ConnectionRefusedError):
        dialed("127.0.0.1", to.port or 0, to, early)


def test_one_that_nobody_takes_is_closed(listens: socket.socket) -> None:
    """Nothing is left of who was called and not meant."""
    early = begun(_to(listens))
    accepted, _ = listens.accept()
    assert early
    early.close()
    with accepted:
        assert accepted.recv(1) == b""
