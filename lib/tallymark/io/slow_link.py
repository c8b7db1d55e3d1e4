"""A proxy on this machine that makes the way to a server longer and narrower: round trip and bandwidth emulated.

Half of the round trip is added in each direction, without holding back what comes behind; the bandwidth is shared by
all connections, as that of a network card is. Called by runs that emulate; what they measure is labelled so.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_PIECE = 16 << 10


class _Link:
    def __init__(self, upstream: tuple[str, int], round_trip_seconds: float, megabits: float | None) -> None:
        self._upstream = upstream
        self._delay = round_trip_seconds / 2
        self._seconds_a_byte = 8 / (megabits * 1e6) if megabits else 0.0
        self._busy_until = [0.0, 0.0]  # up and down

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._upstream)
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(self._carry(reader, server_writer, 0), self._carry(server_reader, writer, 1))
        except asyncio.CancelledError:
            pass  # the link is closed; a cancelled callback would be logged as an error
        finally:
            for each in (writer, server_writer):
                each.close()

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, direction: int) -> None:
        clock = asyncio.get_running_loop().time
        # Bounded, as a network holds no more than fits on its way: the sender feels it.
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(64)

        async def deliver() -> None:
            with suppress(OSError):
                while (item := await under_way.get())[1]:
                    await asyncio.sleep(max(0.0, item[0] - clock()))
                    target.write(item[1])
                    await target.drain()
                if target.can_write_eof():
                    target.write_eof()

        delivering = asyncio.ensure_future(deliver())
        with suppress(OSError):
            while piece := await source.read(_PIECE):
                sent = max(clock(), self._busy_until[direction]) + len(piece) * self._seconds_a_byte
                self._busy_until[direction] = sent
                await under_way.put((sent + self._delay, piece))
        await under_way.put((0.0, b""))
        await delivering


@contextmanager
def slow_link(upstream: tuple[str, int], round_trip_seconds: float, megabits: float | None) -> Iterator[int]:
    """Listens on a free port of 127.0.0.1, which it gives, as long as the context lasts."""
    loop = asyncio.new_event_loop()
    link = _Link(upstream, round_trip_seconds, megabits)
    server = loop.run_until_complete(asyncio.start_server(link.connected, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, name="slow-link", daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(_close(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _close(server: asyncio.Server) -> None:
    server.close()
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)  # closed sockets leave the loop in its next round
