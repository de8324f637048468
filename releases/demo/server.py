"""The demo's host: an SSH server on a free port of 127.0.0.1, whose sessions run /bin/sh as who started the demo.

It stands in for sshd and nothing else: what is sent over it, and what runs behind it, is what a server gets.
"""

import asyncio
import getpass
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncssh

CHUNK = 1 << 16
LINGER_S = 1.0  # how long what a session has left behind may still write


def keys(home: Path) -> None:
    """Make the key of the host, and that of who deploys, in *home*."""
    for name in ("host_key", "client_key"):
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(home / name)
        key.write_public_key(home / f"{name}.pub")
        (home / name).chmod(0o600)


async def serve(home: Path) -> None:
    """Serve for ever; the port is written to ``port`` in *home*."""
    server = await asyncssh.create_server(
        asyncssh.SSHServer,
        "127.0.0.1",
        0,
        server_host_keys=[str(home / "host_key")],
        authorized_client_keys=str(home / "client_key.pub"),
        process_factory=lambda process: _run(process, home),
        encoding=None,
    )
    fresh = home / ".port"
    fresh.write_text(str(server.get_port()))
    fresh.rename(home / "port")
    await server.wait_closed()


async def _run(channel: Any, home: Path) -> None:
    """One exec channel: one process, its three streams, its exit code."""
    process = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        channel.command or "exec /bin/sh",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(home),
        cwd=home,
        start_new_session=True,
    )
    assert process.stdin
    hearing = asyncio.create_task(_hear(channel.stdin, process.stdin))
    telling = [
        asyncio.create_task(_tell(source, sink))
        for source, sink in ((process.stdout, channel.stdout), (process.stderr, channel.stderr))
    ]
    code = await process.wait()
    await asyncio.wait(telling, timeout=LINGER_S)  # a daemon may hold them open for ever
    for task in (hearing, *telling):
        task.cancel()
    with suppress(OSError, asyncssh.Error):
        channel.exit(code if code >= 0 else 128 - code)


async def _hear(source: Any, sink: asyncio.StreamWriter) -> None:
    """What the client sends; the end of it, of the channel and of the connection all close the process's stdin."""
    try:
        while data := await source.read(CHUNK):
            sink.write(data)
            await sink.drain()
    except (OSError, asyncssh.Error):
        pass
    finally:
        sink.close()


async def _tell(source: Any, sink: Any) -> None:
    """What the process says, to its end; once nobody hears it, it is read all the same, so that nothing hangs."""
    while data := await source.read(CHUNK):
        with suppress(OSError, asyncssh.Error):
            sink.write(data)
            await sink.drain()


def _environment(home: Path) -> dict[str, str]:
    """What sshd gives, and no more; `python3` is the one that runs the demo, whose gunicorn is borrowed."""
    path = os.pathsep.join((str(Path(sys.executable).parent), "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"))
    user = getpass.getuser()
    return {"HOME": str(home), "PATH": path, "USER": user, "LOGNAME": user, "SHELL": "/bin/sh", "LANG": "C.UTF-8"}


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
