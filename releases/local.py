"""Runs commands of yours on the controller: the build, its tests, local hooks, the check between batches."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from .errors import CommandFailed

GRACE_S = 2.0
POLL_S = 0.05

Say = Callable[[str], None]


def run(
    what: str,
    command: str,
    *,
    directory: Path | None = None,
    environment: Mapping[str, str] = {},
    timeout_s: float,
    say: Say,
) -> None:
    """Run *command*, in a process group that ends with us; what it leaves running on success is its own.

    *environment* is added to ours; *say* gets its output line by line. `CommandFailed` names *what*, the command, and
    how it ended.
    """
    last = ""
    with subprocess.Popen(
        ["sh", "-c", command],
        cwd=directory,
        env=os.environ | dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            for line in _lines(process, time.monotonic() + timeout_s):
                say(line)
                last = line.strip() or last
        except subprocess.TimeoutExpired:
            _end(process)
            raise CommandFailed(f"{what}: `{_shown(command)}` was not done after {timeout_s:g} s") from None
        except BaseException:  # Ctrl-C does not reach a group of its own
            _end(process)
            raise
    if code := process.returncode:
        why = f"exit {code}" if code > 0 else f"signal {-code}"
        raise CommandFailed(f"{what}: `{_shown(command)}` failed: {why}", said=last)


def _lines(process: subprocess.Popen[bytes], deadline: float) -> Iterator[str]:
    rest = b""
    for chunk in _output_of(process, deadline):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.decode("utf-8", "replace").rstrip("\r") for line in lines)
    if rest:
        yield rest.decode("utf-8", "replace")


def _output_of(process: subprocess.Popen[bytes], deadline: float) -> Iterator[bytes]:
    """What it prints until it ends, even where something it started keeps the pipe open."""
    assert process.stdout
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while (left_s := deadline - time.monotonic()) > 0:
            ended = process.poll() is not None
            if selector.select(0 if ended else min(left_s, POLL_S)):
                chunk = os.read(process.stdout.fileno(), 1 << 16)
                if not chunk:
                    break
                yield chunk
            elif ended:
                return
    process.wait(max(0.0, deadline - time.monotonic()))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End all of its group: politely, then not."""
    deadline = time.monotonic() + GRACE_S
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(POLL_S)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _shown(command: str) -> str:
    first, *more = command.strip().splitlines()
    return f"{first} …" if more else first
