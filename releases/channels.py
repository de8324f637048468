"""Channels of a connection, opened and used without waiting for what need not be waited for."""

import threading

import paramiko
from fabric import Connection

OPEN_S = 30


class Spare:
    """A channel that is opened while something else is waited for."""

    def __init__(self, connection: Connection) -> None:
        self._transport: paramiko.Transport = connection.transport
        self._channel: paramiko.Channel | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._open, name="spare channel", daemon=True)
        self._thread.start()

    def _open(self) -> None:
        try:
            self._channel = self._transport.open_session(timeout=OPEN_S)
        except Exception as error:
            self._error = error

    def opened(self) -> paramiko.Channel:
        """Wait for it; raises what `open_session` does."""
        self._thread.join()
        if self._error:
            raise self._error
        assert self._channel
        return self._channel


def execute(channel: paramiko.Channel, command: str) -> None:
    """As `exec_command`, without the round trip of waiting for sshd's word: where it refuses, it closes the channel."""
    request = paramiko.Message()
    request.add_byte(paramiko.common.cMSG_CHANNEL_REQUEST)
    request.add_int(channel.remote_chanid)
    request.add_string("exec")
    request.add_boolean(True)
    request.add_string(command)
    channel.transport._send_user_message(request)  # type: ignore[union-attr]
