"""A command that meets a fault: what it has said so far, and how it ends."""

import json
import os
import signal
import subprocess
from dataclasses import dataclass, field
from typing import Any

from tests.app import Result


@dataclass
class Client:
    """A command that runs with ``--json``; the steps that count are those of *host*, where it is named."""

    process: subprocess.Popen[str]
    host: str = ""
    said: str = ""
    let: str = ""  # the step that arrived last
    events: list[dict[str, Any]] = field(default_factory=list)

    def read(self) -> None:
        """Take what it has written by now; each step is told before its script is sent."""
        if not self.process.stdout or self.process.stdout.closed:
            return
        os.set_blocking(self.process.stdout.fileno(), False)
        try:
            while data := os.read(self.process.stdout.fileno(), 65536):
                self.said += data.decode()
        except BlockingIOError:
            pass
        *lines, self.said = self.said.split("\n")
        self.events += [json.loads(line) for line in lines]

    @property
    def step(self) -> str:
        """The step that it is at; empty before the first of its plan."""
        self.read()
        begun = [
            e["step"]
            for e in self.events
            if e["event"] == "step" and e["state"] == "begin" and self.host in ("", e["host"])
        ]
        return begun[-1] if begun else ""

    @property
    def ended(self) -> bool:
        """Has it?"""
        return self.process.poll() is not None

    def has_said(self, word: str) -> bool:
        """Does a line for people have this *word*?"""
        self.read()
        return any(word in event.get("line", "") for event in self.events)

    def signal(self, sign: int) -> None:
        """Send it a signal; it may have ended."""
        if not self.ended:
            os.kill(self.process.pid, sign)

    def stop(self) -> None:
        """As when the machine sleeps."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def wake(self) -> None:
        """It goes on where it was."""
        os.killpg(self.process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """As the kernel does when memory is short."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def end(self, limit_s: float = 180) -> Result:
        """Wait for its end."""
        assert self.process.stdout
        os.set_blocking(self.process.stdout.fileno(), True)
        out, err = self.process.communicate(timeout=limit_s)
        self.events += [json.loads(line) for line in (self.said + out).splitlines()]
        self.said = ""
        return Result(self.process.returncode, "", err)

    @property
    def why(self) -> str:
        """What its last word gives as the reason."""
        return str(self.events[-1].get("why", "")) if self.events else ""
