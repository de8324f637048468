"""Stops a deploy where a test wants it: every step waits on the host to be let in, and any tool can be blocked.

The host's PATH leads to a wrapper of every tool, so that the product needs no hook for tests.
"""

import os
import select
import time
from pathlib import Path

SHELL = """#!/bin/sh
state={state} tool=${{0##*/}} arrives=
[ -e "$state/closed" ] || [ -e "$state/counting" ] || exec "/usr/bin/$tool" "$@"
case $tool:$1 in setsid:timeout) arrives=step ;; tar:-x*) arrives=stream ;; timeout:[0-9]*) arrives=reader ;; esac
if [ "${{arrives%reader}}" ] && [ -e "$state/closed" ]; then
  /usr/bin/mkfifo "$state/go.$$"
  echo "$arrives $$" >"$state/told"
  [ ! -e "$state/closed" ] || read -r _ <"$state/go.$$"
  /usr/bin/rm -f "$state/go.$$"
elif [ -z "$arrives" ] && [ -e "$state/counting" ]; then
  n=1
  set -C
  until {{ echo "$tool" >"$state/call.$n"; }} 2>/dev/null; do n=$((n + 1)); done
  set +C
  {{ read -r last <"$state/counting"; }} 2>/dev/null || last=
  if [ "$n" = "$last" ] || [ "$tool" = "$last" ]; then
    rm -f "$state/counting"
    /usr/bin/mkfifo "$state/go.$$"
    echo "call $$" >"$state/told"
    read -r _ <"$state/go.$$"
    /usr/bin/rm -f "$state/go.$$"
  fi
fi
exec "/usr/bin/$tool" "$@"
"""


class Gate:
    """Wrappers of all tools in *home*/bin, to be the PATH of the host; open until `close`."""

    def __init__(self, home: Path) -> None:
        self.bin, self.state = home / "bin", home / "state"
        self.bin.mkdir(parents=True)
        wrapper = home / "wrapper"
        wrapper.write_text(SHELL.format(state=self.state))
        wrapper.chmod(0o755)
        for tool in {path.name for path in Path("/usr/bin").iterdir()} - {"["}:
            (self.bin / tool).symlink_to(wrapper)
        self.state.mkdir()
        os.mkfifo(self.state / "told")
        self._told = os.open(self.state / "told", os.O_RDWR | os.O_NONBLOCK)
        self._heard = b""

    def close(self) -> None:
        """From now on each step waits for `let`."""
        (self.state / "closed").touch()

    def open(self) -> None:
        """Let all that comes pass, and forget what was counted; what waits already goes on waiting."""
        for name in ("closed", "counting"):
            (self.state / name).unlink(missing_ok=True)
        for call in self.state.glob("call.*"):
            call.unlink()

    def admit(self) -> None:
        """Let all that waits go, and every step after it come."""
        (self.state / "closed").unlink(missing_ok=True)
        for waits in self.state.glob("go.*"):
            self.let(int(waits.suffix[1:]))

    def count(self, last: int | str = 0) -> None:
        """Count the calls of tools from now on; the one with the number or name *last* blocks.

        What a session reads its next step with is not counted: it runs beside the step.
        """
        for call in self.state.glob("call.*"):
            call.unlink()
        (self.state / "counting").write_text(f"{last}\n")

    @property
    def calls(self) -> list[str]:
        """The tools that were called since `count`, in order."""
        found = sorted(self.state.glob("call.*"), key=lambda path: int(path.suffix[1:]))
        return [path.read_text().strip() for path in found]

    def let(self, pid: int) -> None:
        """Let *pid* go, unless it is gone by itself."""
        waits = self.state / f"go.{pid}"
        while Path(f"/proc/{pid}").exists():
            try:
                go = os.open(waits, os.O_WRONLY | os.O_NONBLOCK)
            except FileNotFoundError:
                return
            except OSError:  # it has said so, and does not listen yet
                time.sleep(0.005)
                continue
            os.write(go, b"go\n")
            os.close(go)
            return
        waits.unlink(missing_ok=True)

    def arrived(self, *, limit_s: float = 30) -> tuple[str, int]:
        """Wait for what arrives next: ``step``, ``stream`` or ``call``, and its pid; ("", 0) when nothing comes."""
        end = time.monotonic() + limit_s
        while b"\n" not in self._heard:
            if not select.select([self._told], [], [], max(0.0, end - time.monotonic()))[0]:
                return "", 0
            self._heard += os.read(self._told, 4096)
        line, _, self._heard = self._heard.partition(b"\n")
        kind, pid = line.split()
        return kind.decode(), int(pid)

    def reset(self) -> None:
        """Open, with nothing told and nobody let in ahead."""
        self.open()
        self._heard = b""
        for waits in self.state.glob("go.*"):
            waits.unlink()
        while select.select([self._told], [], [], 0)[0]:
            os.read(self._told, 65536)
