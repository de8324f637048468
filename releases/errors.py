"""Every error raised on purpose, each with one line, a hint and the exit code of the command.

ReleaseError
├── UsageError            2   the command line or deploy.toml
│   └── ConfigError       2   every mistake of deploy.toml at once
├── Refused              10   a check said no; nothing was changed
│   ├── BuildFailed      10   the build or test command failed; nothing was sent
│   ├── HostKeyRefused   10   unknown or changed host key; nothing was sent
│   └── Unreachable      10   no session with the host, so nothing was begun
├── CommandFailed        11   a command of yours failed on the controller
├── StepFailed           11   a step ended with an error on a host
├── OutcomeUnknown       14   the line dropped: the host may or may not have done it
└── LockHeld             75   another deploy owns the application on this host
"""

from collections.abc import Sequence


class ReleaseError(Exception):
    """Base of all: ``str()`` is one line (which host, what, why); `hint` usually helps."""

    exit_code = 11

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def record(self) -> str:
        """What a journal may keep of it: never what somebody's program said, since that may be a secret."""
        return self.known

    @property
    def known(self) -> str:
        """What it says once the host was asked what is true."""
        return str(self)


class UsageError(ReleaseError):
    """The command line asks for what cannot be."""

    exit_code = 2


class ConfigError(UsageError):
    """deploy.toml has mistakes; `mistakes` holds one line for each of them."""

    def __init__(self, path: str, mistakes: Sequence[str], *, hint: str = "") -> None:
        count = f"{len(mistakes)} mistakes" if len(mistakes) > 1 else "1 mistake"
        super().__init__("\n  ".join((f"{path}: {count}", *mistakes)), hint=hint)
        self.mistakes = tuple(mistakes)


class Refused(ReleaseError):
    """A check said no before anything was changed."""

    exit_code = 10


class BuildFailed(Refused):
    """What would be shipped could not be built, or its tests fail; nothing was sent."""


class HostKeyRefused(Refused):
    """The host did not prove with a known key who it is; nothing was sent."""


class Unreachable(Refused):
    """No session could be opened with the host; nothing was begun there."""


class CommandFailed(ReleaseError):
    """A command of yours failed on the controller; *said* is the last line that it printed."""

    def __init__(self, message: str, *, said: str = "") -> None:
        super().__init__(f"{message}: {said}" if said else message)
        self._record = message

    @property
    def record(self) -> str:
        """How it ended."""
        return self._record


class StepFailed(ReleaseError):
    """A step ended with an error on *host*; *code* is its exit code (sysexits), *tail* its last lines.

    *judged*: they are our own words about what it answered. *own*: what the script says of it in words of ours, where
    its last lines may quote somebody's program.
    """

    def __init__(
        self,
        host: str,
        step: str,
        code: int,
        tail: Sequence[str] = (),
        *,
        hint: str = "",
        judged: bool = False,
        own: str = "",
    ) -> None:
        why = next((line for line in reversed(tail) if line.strip()), f"exit {code}")
        super().__init__(f"{host}: {step} failed: {why.removeprefix(f'{step}: ')}", hint=hint)
        self.host, self.step, self.code, self.tail, self.judged = host, step, code, tuple(tail), judged
        self.own = own or f"exit {code}"

    @property
    def record(self) -> str:
        """The step with our own verdict, or its exit code."""
        return str(self) if self.judged else f"{self.host}: {self.step} failed: {self.own}"


class OutcomeUnknown(ReleaseError):
    """The line to *host* dropped during *step*; the host may or may not have done it."""

    exit_code = 14

    def __init__(self, host: str, step: str, why: str) -> None:
        self.host, self.step, self.why = host, step, why
        super().__init__(f"{self.known}; the outcome is unknown", hint="`inv status` asks the host what is true")

    @property
    def known(self) -> str:
        """Only what happened."""
        return f"{self.host}: the line dropped during {self.step} ({self.why})"


class LockHeld(ReleaseError):
    """Another deploy owns the application on this host."""

    exit_code = 75  # EX_TEMPFAIL: the same command may work later

    def __init__(self, host: str, holder: str, mark: str = "") -> None:
        super().__init__(
            f"{host} is locked by {holder}",
            hint="wait for it with `--wait 10m`, or end it with `inv unlock` if it hangs",
        )
        self.host, self.holder, self.mark = host, holder, mark
