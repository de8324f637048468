"""One SSH connection to one host: our own socket under fabric's configuration, known host keys only."""

import base64
import hashlib
import logging
import socket
from pathlib import Path
from typing import Any

import paramiko
from fabric import Config as FabricConfig
from fabric import Connection

from .config import Target
from .errors import HostKeyRefused, Unreachable

CONNECT_S = 10

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # it logs a traceback of what it raises, too


class _Strict(paramiko.MissingHostKeyPolicy):
    """Refuse a host that no known_hosts file names (fabric's own policy takes anybody)."""

    def __init__(self, host: str, file: Path) -> None:
        self.host, self.file = host, file

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        raise HostKeyRefused(
            f"{self.host}: unknown host key, {key.get_name()} {fingerprint(key)}",
            hint=f"compare the fingerprint, then: {_accepting(hostname, self.file)}",
        )


def fingerprint(key: paramiko.PKey) -> str:
    """The form that `ssh-keygen -l` and sshd print: ``SHA256:…``."""
    digest = hashlib.sha256(key.asbytes()).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def connect(target: Target, *, ssh_config: Path | None = None) -> Connection:
    """Open the connection and authenticate; nothing has been run on the host when this returns.

    Costs 6 round trips with our socket (TCP_NODELAY), 8 with paramiko's own. A silent line is noticed in 20 s.
    Raises `HostKeyRefused`, or `Unreachable` for all else that keeps us out.
    """
    connection = _fabric(target, ssh_config)
    host = target.name
    try:
        if not connection.gateway:
            connection.connect_kwargs["sock"] = _socket(connection.host, connection.port)
        connection.client.connect = _alias(connection)
        connection.open()
    except HostKeyRefused:
        raise
    except paramiko.BadHostKeyException as error:
        raise HostKeyRefused(
            f"{host}: the host key has changed: {fingerprint(error.key)}, known is {fingerprint(error.expected_key)}",
            hint=f"if you know why: {_replacing(connection)}",
        ) from error
    except paramiko.AuthenticationException as error:
        raise Unreachable(
            f"{host}: {connection.user} may not log in: {str(error).rstrip('.')}",
            hint=f"does `{target.ssh}` let you in? we use the same keys, agent and ~/.ssh/config",
        ) from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        if "No authentication methods" in str(error):
            raise Unreachable(
                f"{host}: {connection.user} may not log in: there is no key to try",
                hint=f"does `{target.ssh}` let you in? we use the same keys, agent and ~/.ssh/config",
            ) from error
        raise Unreachable(
            f"{host}: no SSH connection to {connection.host}:{connection.port}: {_why(error)}",
            hint=f"is it up? `{target.ssh}` shows more",
        ) from error
    return connection


def _fabric(target: Target, ssh_config: Path | None) -> Connection:
    path = ssh_config or Path.home() / ".ssh" / "config"
    options = {"runtime_ssh_path": str(path)} if path.exists() else {"lazy": True}
    connection = Connection(
        target.hostname,
        user=target.user or None,
        port=target.port,
        config=FabricConfig(**options),
        connect_timeout=CONNECT_S,
    )
    known_hosts = _known_hosts(connection)
    connection.client.set_missing_host_key_policy(_Strict(target.name, known_hosts[0]))
    for known in known_hosts:
        if known.exists():
            connection.client.load_system_host_keys(str(known))
    if keys := connection.connect_kwargs.get("key_filename"):  # ssh passes over one that is not there
        connection.connect_kwargs["key_filename"] = [key for key in keys if Path(key).expanduser().exists()]
    connection.connect_kwargs.setdefault("banner_timeout", CONNECT_S * 2)  # that of the whole start ends first
    connection.connect_kwargs.setdefault("auth_timeout", CONNECT_S * 2)
    if connection.ssh_config.get("identitiesonly", "no") == "yes":
        connection.connect_kwargs.update(look_for_keys=False, allow_agent=False)
    return connection


def _known_hosts(connection: Connection) -> list[Path]:
    """The files that ssh itself would ask: the user's, then the machine's."""
    options = connection.ssh_config
    user = options.get("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2")
    machine = options.get("globalknownhostsfile", "/etc/ssh/ssh_known_hosts")
    return [Path(word.strip('"')).expanduser() for word in (user + " " + machine).split()]


def _alias(connection: Connection) -> Any:
    """Look the key up under HostKeyAlias where ~/.ssh/config names one, as ssh does."""
    connect, alias = connection.client.connect, connection.ssh_config.get("hostkeyalias")
    if not alias:
        return connect
    keys = connection.client._system_host_keys
    name = connection.host if connection.port == 22 else f"[{connection.host}]:{connection.port}"
    for kind, key in (keys.lookup(alias) or {}).items():
        keys.add(name, kind, key)
    return connect


def _socket(host: str, port: int) -> socket.socket:
    opened = socket.create_connection((host, port), timeout=CONNECT_S)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", 5),
        ("TCP_KEEPINTVL", 5),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", 20_000),
    ):
        if hasattr(socket, option):  # macOS lacks some of them
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return opened


def _accepting(hostname: str, file: Path) -> str:
    name, _, port = hostname.removeprefix("[").partition("]:")
    return f"ssh-keyscan {f'-p {port} ' if port else ''}{name} >> {_short(file)}"


def _replacing(connection: Connection) -> str:
    name = connection.host if connection.port == 22 else f"[{connection.host}]:{connection.port}"
    file = next((f for f in _known_hosts(connection) if f.exists()), Path("~/.ssh/known_hosts"))
    return f"ssh-keygen -R '{name}' -f {_short(file)} && {_accepting(name, file)}"


def _short(file: Path) -> str:
    return f"~/{file.relative_to(Path.home())}" if file.is_relative_to(Path.home()) else str(file)


def _why(error: BaseException) -> str:
    said = " ".join((getattr(error, "strerror", None) or str(error)).split())
    if isinstance(error, TimeoutError) or "timed out" in said or said == "No existing session":  # what paramiko says
        return f"no answer within {CONNECT_S} s"
    if "protocol banner" in said:
        return "it was closed before a greeting of SSH came"
    return said or "the connection was closed"
