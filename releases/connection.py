"""One SSH connection to one host: our own socket under fabric's configuration, known host keys only."""

import base64
import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import paramiko
from fabric import Config as FabricConfig
from fabric import Connection
from paramiko.hostkeys import InvalidHostKey

from .addresses import Destination, by_hand
from .errors import HostKeyRefused, ReleaseError, Unreachable
from .sockets import Begun, dialed

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # it logs a traceback of what it raises, too

REKEY_BYTES = 1 << 37  # twice what OpenSSH allows a pair of keys


class _Strict(paramiko.MissingHostKeyPolicy):
    """Refuse a host that no known_hosts file names (fabric's own policy takes anybody)."""

    def __init__(self, host: str, hop: Connection) -> None:
        self.host, self.hop = host, hop

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        raise HostKeyRefused(
            f"{self.host}: unknown host key, {key.get_name()} {fingerprint(key)}",
            hint=f"compare the fingerprint, then: {_accepting(self.hop, _known_hosts(self.hop)[0])}",
        )


def fingerprint(key: paramiko.PKey) -> str:
    """The form that `ssh-keygen -l` and sshd print: ``SHA256:…``."""
    digest = hashlib.sha256(key.asbytes()).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def connect(to: Destination, *, ssh_config: Path | None = None, begun: Begun | None = None) -> Connection:
    """Open the connection and authenticate, jump hosts first; nothing has been run on any host when this returns.

    Costs 5 round trips with our socket (TCP_NODELAY), 2 less than with paramiko's, and one for the channel asked for
    first. A socket may have *begun*. A silent line is given up in time.
    Raises `HostKeyRefused`, or `Unreachable` for all else that keeps us out.
    """
    hops = _hops(_fabric(to, ssh_config))
    for hop in hops:
        last = hop is hops[-1]
        host = to.name if last else f"{to.name}: jump host {hop.original_host}"
        try:
            _prepare(hop, host, to.connect_s)
            _open(hop, host, to.ssh if last else _by_hand(hop), to, begun)
        except ReleaseError:
            _close(hops)
            raise
    hops[-1].transport.make_ready()
    return hops[-1]


def _open(hop: Connection, host: str, ssh: str, to: Destination, begun: Begun | None) -> None:
    try:
        if not hop.gateway:
            hop.connect_kwargs["sock"] = dialed(hop.host, hop.port, to, begun)
        hop.open()
    except paramiko.BadHostKeyException as error:
        raise HostKeyRefused(
            f"{host}: the host key has changed: {fingerprint(error.key)}, known is {fingerprint(error.expected_key)}",
            hint=f"if you know why: {_replacing(hop)}",
        ) from error
    except paramiko.AuthenticationException as error:
        raise Unreachable(
            f"{host}: {hop.user} may not log in: {str(error).rstrip('.')}",
            hint=f"does `{ssh}` let you in? we use the same keys, agent and ~/.ssh/config",
        ) from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        if "No authentication methods" in str(error):
            raise Unreachable(
                f"{host}: {hop.user} may not log in: there is no key to try",
                hint=f"does `{ssh}` let you in? we use the same keys, agent and ~/.ssh/config",
            ) from error
        raise Unreachable(
            f"{host}: no SSH connection to {hop.host}:{hop.port}: {_why(error, to.connect_s)}",
            hint=f"is it up? `{ssh}` shows more",
        ) from error


def _hops(connection: Connection) -> tuple[Connection, ...]:
    """The jump hosts in the order in which they are passed, and *connection* itself."""
    gateway = connection.gateway
    return (*(_hops(gateway) if isinstance(gateway, Connection) else ()), connection)


def _close(hops: tuple[Connection, ...]) -> None:
    for hop in reversed(hops):
        hop.close()


def _fabric(to: Destination, ssh_config: Path | None) -> Connection:
    path = ssh_config or Path.home() / ".ssh" / "config"
    with _reading(path, to.name):
        config = FabricConfig(**({"runtime_ssh_path": str(path)} if path.exists() else {"lazy": True}))
        return Connection(
            to.hostname,
            user=to.user or None,
            port=to.port,
            config=config,
            gateway=_gateway(to, config),
            connect_timeout=to.connect_s,
        )


def _gateway(to: Destination, config: FabricConfig) -> Connection | bool | None:
    """What fabric gets wrong of ProxyJump: it passes many in the wrong order, and looks for a host called none."""
    jumps = config.base_ssh_config.lookup(to.hostname).get("proxyjump", "")
    gateway = False if jumps.lower() == "none" else None
    for jump in jumps.split(",") if "," in jumps else ():
        gateway = Connection(jump.strip(), config=config.clone(), gateway=gateway)
    return gateway


def _prepare(hop: Connection, host: str, limit_s: float) -> None:
    """What ssh would do for this hop too: its known hosts, and no others; its keys; and no wait without an end."""
    hop.client.set_missing_host_key_policy(_Strict(host, hop))
    for known in _known_hosts(hop):
        with _reading(known, host):
            if known.exists():
                hop.client.load_system_host_keys(str(known))
    _alias(hop)
    hop.connect_timeout = limit_s
    if keys := hop.connect_kwargs.get("key_filename"):  # ssh passes over one that is not there
        hop.connect_kwargs["key_filename"] = [key for key in keys if Path(key).expanduser().exists()]
    hop.connect_kwargs.setdefault("transport_factory", _transport)
    hop.connect_kwargs.setdefault("banner_timeout", limit_s * 2)  # that of the whole start ends first
    hop.connect_kwargs.setdefault("auth_timeout", limit_s * 2)
    hop.connect_kwargs.setdefault("channel_timeout", limit_s * 2)  # of a jump host; paramiko's own is an hour
    if hop.ssh_config.get("identitiesonly", "no") == "yes":
        hop.connect_kwargs.update(look_for_keys=False, allow_agent=False)


@contextmanager
def _reading(file: Path, host: str) -> Iterator[None]:
    """Whatever is wrong with a file of ssh is told with its name."""
    try:
        yield
    except (paramiko.SSHException, InvalidHostKey, OSError, ValueError, KeyError) as error:
        raise Unreachable(
            f"{host}: {_short(file)} cannot be used: {' '.join(str(error).split())}",
            hint="correct it there; `ssh -G HOST` shows what ssh makes of its configuration",
        ) from error


def _known_hosts(connection: Connection) -> list[Path]:
    """The files that ssh itself would ask: the user's, then the machine's."""
    options = connection.ssh_config
    user = options.get("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2")
    machine = options.get("globalknownhostsfile", "/etc/ssh/ssh_known_hosts")
    return [Path(word.strip('"')).expanduser() for word in (user + " " + machine).split()]


def _alias(connection: Connection) -> None:
    """Look the key up under HostKeyAlias where ~/.ssh/config names one, as ssh does."""
    if alias := connection.ssh_config.get("hostkeyalias"):
        keys = connection.client._system_host_keys
        for kind, key in (keys.lookup(alias) or {}).items():
            keys.add(_name(connection), kind, key)


def _name(connection: Connection) -> str:
    """What known_hosts calls it."""
    return connection.host if connection.port == 22 else f"[{connection.host}]:{connection.port}"


def _transport(*args: Any, **more: Any) -> paramiko.Transport:
    """With the cipher first that costs least where large files are sent, if this paramiko has it."""
    transport = _Transport(*args, **more)
    options = transport.get_security_options()
    options.ciphers = sorted(options.ciphers, key=lambda name: not name.startswith("aes128-gcm"))
    # New keys are sshd's to ask for, as its RekeyLimit says. Where paramiko begins with it, and a channel is closed
    # before sshd has heard of that, it waits for itself: it may answer only with new keys, and is who makes them.
    transport.packetizer.REKEY_BYTES = REKEY_BYTES
    return transport


class _Transport(paramiko.Transport):
    """Can have a channel ready for who asks first: its round trip passes while we are still being loaded."""

    _ready: paramiko.Channel | None = None

    def make_ready(self) -> None:
        """Open one; whoever asks is told why there is none."""
        with suppress(paramiko.SSHException, EOFError, OSError):
            self._ready = super().open_session(timeout=self.channel_timeout)

    def open_session(self, *args: Any, **more: Any) -> paramiko.Channel:
        """As paramiko's."""
        ready, self._ready = self._ready, None
        return ready if ready and not ready.closed else super().open_session(*args, **more)


def _accepting(connection: Connection, file: Path) -> str:
    """What asks the host for its key, from the jump host where only that can."""
    port = "" if connection.port == 22 else f"-p {connection.port} "
    scan = f"ssh-keyscan {port}{connection.host}"
    if isinstance(jump := connection.gateway, Connection):
        scan = f"{_by_hand(jump)} {scan}"
    return f"{scan} >> {_short(file)}"


def _by_hand(hop: Connection) -> str:
    return by_hand(hop.original_host, user=hop.user, port=None if hop.port == 22 else hop.port)


def _replacing(connection: Connection) -> str:
    file = next((f for f in _known_hosts(connection) if f.exists()), Path("~/.ssh/known_hosts"))
    return f"ssh-keygen -R '{_name(connection)}' -f {_short(file)} && {_accepting(connection, file)}"


def _short(file: Path) -> str:
    return f"~/{file.relative_to(Path.home())}" if file.is_relative_to(Path.home()) else str(file)


def _why(error: BaseException, limit_s: float) -> str:
    said = " ".join((getattr(error, "strerror", None) or str(error)).split())
    if isinstance(error, TimeoutError) or "timed out" in said or said == "No existing session":  # what paramiko says
        return f"no answer within {limit_s:g} s"
    if "protocol banner" in said:
        return "it was closed before a greeting of SSH came"
    return said or "the connection was closed"
