"""Channels of a connection, opened and used without waiting for what need not be waited for."""

import threading
from collections.abc import Callable

import paramiko

from .errors import ReleaseError
from .interrupting import waited


class Spare:
    """A channel that is opened while something else is waited for."""

    def __init__(self, open_: Callable[[], paramiko.Channel]) -> None:
        self._open_ = open_
        self.channel: paramiko.Channel | None = None  # once it is there
        self._error: ReleaseError | None = None
        self._thread = threading.Thread(target=self._open, name="spare channel", daemon=True)
        self._thread.start()

    def _open(self) -> None:
        try:
            self.channel = self._open_()
        except ReleaseError as error:
            self._error = error

    def opened(self) -> paramiko.Channel:
        """Wait for it; raises what opening it did."""
        self._thread.join()
        if self._error:
            raise self._error
        assert self.channel
        return self.channel


class Bell:
    """Rings when something has come on either stream of a channel, or its end.

    Not ``poll`` on the channel: paramiko forgets to wake who waits where both streams have something at one moment.
    """

    def __init__(self, channel: paramiko.Channel) -> None:
        self._rung = threading.Event()
        for buffer in (channel.in_buffer, channel.in_stderr_buffer):
            buffer.set_event(self)  # type: ignore[arg-type]

    def set(self) -> None:
        """Called by paramiko, after it has put something into a buffer."""
        self._rung.set()

    def clear(self) -> None:
        """Called by paramiko when a buffer is empty; the other may not be."""

    def heard(self) -> None:
        """Before both streams are looked at: what comes from now on rings again."""
        self._rung.clear()

    def wait(self, timeout_s: float) -> bool:
        """Has it rung since?"""
        return waited(self._rung, timeout_s)


def execute(channel: paramiko.Channel, command: str) -> None:
    """As `exec_command`, without the round trip of waiting for sshd's word: where it refuses, it closes the channel."""
    request = paramiko.Message()
    request.add_byte(paramiko.common.cMSG_CHANNEL_REQUEST)
    request.add_int(channel.remote_chanid)
    request.add_string("exec")
    request.add_boolean(True)
    request.add_string(command)
    channel.transport._send_user_message(request)  # type: ignore[union-attr]
