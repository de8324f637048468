"""A command that runs on the controller, and what it has told so far."""

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import Any

LIMIT_S = 240.0  # longer than any command may take that nobody waits with


@dataclass
class Client:
    """``switchover WORDS --json``, started as *process*; *hosts* are the names of those it is for, *who* typed it."""

    words: tuple[str, ...]
    hosts: tuple[str, ...]
    process: "subprocess.Popen[str]"
    events: list[dict[str, Any]] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    err: str = ""
    ended_by: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    who: str = ""
    _out: str = ""

    def __post_init__(self) -> None:
        for stream in (self.process.stdout, self.process.stderr):
            assert stream
            os.set_blocking(stream.fileno(), False)

    def read(self) -> None:
        """Take what it has written by now."""
        assert self.process.stdout
        assert self.process.stderr
        self._out += _all(self.process.stdout.fileno())
        self.err += _all(self.process.stderr.fileno())
        *lines, self._out = self._out.split("\n")
        for line in lines:
            try:
                self.events.append(json.loads(line))
            except ValueError:
                self.odd.append(line)

    @property
    def told(self) -> int:
        """How many events it has told."""
        return len(self.events)

    def poll(self) -> bool:
        """Has it ended? Reads what it has written."""
        ended = self.process.poll() is not None
        self.read()
        self.seconds = self.seconds or (time.monotonic() - self.began if ended else 0.0)
        return ended

    def signal(self, number: int) -> None:
        """As from a terminal, or from whoever runs the job; to all of its group where it cannot be refused."""
        if self.process.poll() is None:
            stops = number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT)
            (os.killpg if stops else os.kill)(self.process.pid, number)

    def close(self) -> None:
        """Nothing of it is left."""
        self.signal(signal.SIGKILL)
        self.process.wait()
        self.read()
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()

    @property
    def outcome(self) -> dict[str, Any]:
        """Its last word; empty when it had none."""
        last = self.events[-1] if self.events else {}
        return last if last.get("event") == "outcome" else {}

    @property
    def number(self) -> int:
        """The number of its deploy; 0 when it has none."""
        return int(self.plan.get("number", 0))

    @property
    def plan(self) -> dict[str, Any]:
        """What it told of its plan: verb, release, number."""
        return next((event for event in self.events if event["event"] == "plan"), {})

    def __str__(self) -> str:
        why = str(self.outcome.get("why", ""))[:100]
        code = self.process.returncode
        how = f"{code} {self.outcome.get('outcome', '')} {why}".strip()
        return f"{' '.join(self.words)} on {','.join(self.hosts)}: {self.seconds:.1f} s, {how}"


def _all(descriptor: int) -> str:
    found = b""
    try:
        while data := os.read(descriptor, 1 << 16):
            found += data
    except BlockingIOError:
        pass
    return found.decode(errors="replace")
