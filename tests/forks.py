"""Runs `python -m releases` for the tests without its imports: each command is a fork of a process that has them all.

A command is a process of its own all the same, with the arguments, environment, directory and streams of its own. What
imports cost is for tests/test_packaging.py to see.
"""

import atexit
import gc
import inspect
import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parent.parent
IMPORTED = ("__main__", "carry", "commands", "connection", "housekeeping", "migrating", "operations", "tables")
MESSAGE_BYTES = 1 << 17


class Command(subprocess.Popen[str]):
    """``python -m releases WORDS``, forked by a server that ends with us."""

    _server: socket.socket | None = None

    def __init__(self, words: tuple[str, ...], *, cwd: Path, env: dict[str, str]) -> None:
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        super().__init__(["switchover", *words], cwd=cwd, env=env, text=True, **streams)

    def _execute_child(self, *args: Any) -> None:
        """In place of a fork and an exec by `subprocess`; the streams are ours to close."""
        given = inspect.signature(subprocess.Popen._execute_child).bind(self, *args).arguments  # type: ignore[attr-defined]
        said, says = os.pipe()
        theirs = [given["p2cread"], given["c2pwrite"], given["errwrite"], says]
        request = {"words": given["args"], "cwd": str(given["cwd"]), "env": given["env"]}
        socket.send_fds(self._served(), [json.dumps(request).encode()], theirs)
        for descriptor in theirs:
            os.close(descriptor)
        self._said = open(said)  # noqa: SIM115  until it has told how it ended
        self.pid = int(self._said.readline())
        self._child_created = True

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        """As `os.waitpid` for a child of our own."""
        if wait_flags & os.WNOHANG and not select.select([self._said], [], [], 0)[0]:
            return 0, 0
        with self._said:
            return self.pid, int(self._said.readline())

    def _internal_poll(self, *_: Any, **__: Any) -> int | None:
        if self.returncode is None and (ended := self._try_wait(os.WNOHANG))[0]:
            self._handle_exitstatus(ended[1])  # type: ignore[attr-defined]
        return self.returncode

    @classmethod
    def _served(cls) -> socket.socket:
        if cls._server is None:
            cls._server, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
                command = [sys.executable, __file__, str(theirs.fileno())]
                forks = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()], start_new_session=True)
            atexit.register(forks.wait)
            atexit.register(cls._server.close)  # first
        return cls._server


def serve(requests: socket.socket) -> None:
    """Fork a command for each request, until there is nobody to ask; returns in each command."""
    for name in IMPORTED:
        __import__(f"releases.{name}")
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        said, streams, *_ = socket.recv_fds(requests, MESSAGE_BYTES, 4)
        if not said:
            os._exit(0)
        if not os.fork():
            requests.close()
            return _watched(json.loads(said), *streams)
        for descriptor in streams:
            os.close(descriptor)


def _watched(request: dict[str, Any], stdin: int, stdout: int, stderr: int, says: int) -> None:
    """Fork once more: this one waits for the command, and tells how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if pid := os.fork():
        for descriptor in (stdin, stdout, stderr):
            os.close(descriptor)
        status = os.waitpid(pid, 0)[1]
        os.write(says, f"{status}\n".encode())
        os._exit(0)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    os.setsid()
    os.write(says, f"{os.getpid()}\n".encode())
    os.close(says)
    for descriptor, number in ((stdin, 0), (stdout, 1), (stderr, 2)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = request["words"]
    sys.path[0] = request["cwd"]


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
    from releases.__main__ import main

    main()
