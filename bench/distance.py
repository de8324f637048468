"""A host that is far away: a line that delays both ways, and limits nothing else."""

import asyncio
from contextlib import suppress

from tests.line import Line
from tests.sshd import Sshd


class Distance(Line):
    """A `Line` whose connections take a round trip to be made, too, as those of TCP do."""

    ahead = 1 << 12

    def __init__(self, sshd: Sshd, round_trip_s: float) -> None:
        super().__init__(sshd.port, user=sshd.user, delay_s=round_trip_s / 2, on_start=sshd._trust)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):  # at the end; streams would tell it as an error (Python 3.11)
            await asyncio.sleep(2 * self.delay_s)
            await super()._accepted(reader, writer)
