"""Both ends of a link, in one process."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from panoveil.streams._kcl.channel import Channel


@asynccontextmanager
async def two_ends() -> AsyncIterator[tuple[Channel, Channel]]:
    """Open a link; both ends are closed after the block."""
    pair = [Channel(*await asyncio.open_unix_connection(sock=end)) for end in socket.socketpair()]
    try:
        yield pair[0], pair[1]
    finally:
        for end in pair:
            await end.close()
