"""What is heard of a channel, whichever of its streams it comes on."""

from types import SimpleNamespace
from typing import Any

from paramiko.buffered_pipe import BufferedPipe

from releases.channels import Bell


def test_what_came_on_one_stream_is_heard_though_the_other_has_just_been_read() -> None:
    """paramiko clears the event of a channel when one of its streams is empty, whatever waits on the other."""
    channel: Any = SimpleNamespace(in_buffer=BufferedPipe(), in_stderr_buffer=BufferedPipe())
    bell = Bell(channel)
    channel.in_buffer.feed(b"out")
    channel.in_stderr_buffer.feed(b"err")
    assert channel.in_buffer.read(100) == b"out"
    assert bell.wait(0)
    bell.heard()
    assert not bell.wait(0)
