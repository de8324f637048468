"""Runs commands of yours on the controller: the build, its tests, local hooks, the check between batches."""

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import CommandFailed, Refused
from .wording import first_line

GRACE_S = 2.0
POLL_S = 0.05
MOST_BYTES = 1 << 20  # what may be printed that is kept

Say = Callable[[str], None]


class _Ended(Exception):
    """Somebody wants it to end."""


def run(
    what: str,
    command: str,
    *,
    directory: Path | None = None,
    environment: Mapping[str, str] = {},
    timeout_s: float,
    say: Say,
    ended: threading.Event | None = None,
) -> None:
    """Run *command*, in a process group that ends with us; what it leaves running on success is its own.

    *environment* is added to ours; *say* gets its output line by line. Once *ended* is set it is ended, too.
    `CommandFailed` names *what*, the command, and how it ended; by then all of its group has.
    """
    named, last = f"{what}: `{first_line(command)}`", ""
    try:
        with _group(command, cwd=directory, env=os.environ | dict(environment), stderr=subprocess.STDOUT) as process:
            for line in _lines(process, time.monotonic() + timeout_s, ended or threading.Event()):
                say(line)
                last = line.strip() or last
    except subprocess.TimeoutExpired:
        raise CommandFailed(f"{named} was not done after {timeout_s:g} s") from None
    except _Ended:
        raise CommandFailed(f"{named} was ended") from None
    if code := process.returncode:
        why = f"exit {code}" if code > 0 else f"signal {-code}"
        raise CommandFailed(f"{named} failed: {why}", said=last)


def printed(command: str, *, what: str, here: Path, limit_s: float) -> str:
    """Run *command* in *here* and return what it printed on stdout; its stderr is for people, as it comes.

    Raises `Refused`, which begins with *what*, when it fails, is not done after *limit_s*, or prints more than 1 MiB;
    then all of its process group is ended.
    """
    said = bytearray()
    try:
        with _group(command, cwd=here) as process:
            for chunk in _output_of(process, time.monotonic() + limit_s, threading.Event()):
                said += chunk
                if len(said) > MOST_BYTES:
                    raise _refused(what, command, f"printed more than {MOST_BYTES >> 20} MiB")
    except subprocess.TimeoutExpired:
        raise _refused(what, command, f"was not done after {limit_s:g} s") from None
    if process.returncode:
        raise _refused(what, command, f"failed: exit {process.returncode}")
    return said.decode("utf-8", "replace")


@contextmanager
def _group(command: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """*command* in a process group of its own, which Ctrl-C does not reach: it is ended with what ends the block."""
    words = ["sh", "-c", command]
    with subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True, **options
    ) as process:
        try:
            yield process
        except BaseException:
            _end(process)
            raise


def _refused(what: str, command: str, why: str) -> Refused:
    return Refused(f"{what}: `{first_line(command)}` {why}", hint="run it by hand, in the directory of deploy.toml")


def _lines(process: subprocess.Popen[bytes], deadline: float, ended: threading.Event) -> Iterator[str]:
    rest = b""
    for chunk in _output_of(process, deadline, ended):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.decode("utf-8", "replace").rstrip("\r") for line in lines)
    if rest:
        yield rest.decode("utf-8", "replace")


def _output_of(process: subprocess.Popen[bytes], deadline: float, stopped: threading.Event) -> Iterator[bytes]:
    """What it prints until it ends, even where something it started keeps the pipe open."""
    assert process.stdout
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while (left_s := deadline - time.monotonic()) > 0:
            ended = process.poll() is not None
            if stopped.is_set() and not ended:
                raise _Ended
            if selector.select(0 if ended else min(left_s, POLL_S)):
                if chunk := os.read(process.stdout.fileno(), 1 << 16):
                    yield chunk
                else:
                    selector.unregister(process.stdout)  # which it may close long before it ends
            elif ended:
                return
    process.wait(0)


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
