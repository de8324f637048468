"""A line to a host that can be slow, silent or cut: a TCP proxy of this machine."""

import asyncio
import getpass
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Self

START_S = 10.0


class Line:
    """A TCP proxy on a free port of 127.0.0.1 in front of *target*, also a port there.

    `delay_s` is added on each way, so a round trip takes two of it more; it may be changed at any time. `ahead`
    pieces are on their way at most.
    """

    ahead = 64

    def __init__(self, target: int, *, delay_s: float = 0.0, user: str = "", on_start: Any = lambda port: None) -> None:
        self.target, self.delay_s, self.user = target, delay_s, user or getpass.getuser()
        self.port = self.connections = 0
        self._on_start = on_start
        self._swallowing = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._never = asyncio.Event()  # ours, so that who waits for it is not garbage
        self._opening = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="line", daemon=True)

    @property
    def address(self) -> str:
        """``user@127.0.0.1:PORT``."""
        return f"{self.user}@127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Reset every open connection, on both sides, before this returns; new ones are let through."""
        self._do(self._reset())

    def swallow(self) -> None:
        """From now on drop every byte of every connection, in both directions, and say nothing of it."""
        self._swallowing = True

    def hold(self) -> None:
        """From now on keep every byte and every end back until `pass_`, as a line that loses packets for a while."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def pass_(self) -> None:
        """Let everything through again, what was held first; a connection that lost bytes stays of no use."""
        self._swallowing = False
        self._loop.call_soon_threadsafe(self._flows.set)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._accepted, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        self._on_start(self.port)
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_S)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._opening += 1
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            return writer.close()
        finally:
            self._opening -= 1
        ends = {writer, far_writer}
        self._open |= ends
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(reader, far_writer))
                group.create_task(self._carry(far_reader, writer))
        finally:
            self._open -= ends
            for end in ends:
                end.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on in one direction what arrives, and the end of the stream, each `delay_s` later."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(self.ahead)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._deliver(queue, writer))
            data = b"-"
            while data:
                try:
                    data = await reader.read(1 << 16)
                except OSError:
                    data = b""
                await queue.put((self._loop.time() + self.delay_s, data))

    async def _deliver(self, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        data = b"-"
        while data:
            due, data = await queue.get()
            await asyncio.sleep(due - self._loop.time())
            await self._flows.wait()
            if self._swallowing and not data:
                await self._never.wait()  # an end is not told either: until cut() or the end of this line
            if not self._swallowing:
                with suppress(OSError):  # nobody is there: what comes is dropped until this side ends too
                    writer.write(data) if data else writer.write_eof()
                    await writer.drain()

    async def _reset(self) -> None:
        while self._opening:
            await asyncio.sleep(0.001)
        for writer in self._open:
            with suppress(OSError):
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        while any(writer.get_extra_info("socket").fileno() >= 0 for writer in self._open):
            await asyncio.sleep(0)

    async def _end(self) -> None:
        self._server.close()
        await self._reset()
        self._never.set()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if rest:
            await asyncio.wait(rest, timeout=1)  # what is cancelled is told by asyncio as if it had failed
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
