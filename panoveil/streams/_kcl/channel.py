"""The service's end of the link to one child: JSON messages in length-prefixed frames."""

import asyncio
import json
import struct
from typing import Any

MAX_FRAME = 1 << 28


class LinkClosed(Exception):
    """The child is gone, or speaks no frames."""


class Channel:
    """Reads and writes messages; one reader and one writer at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take over both ends of an accepted connection."""
        self._reader = reader
        self._writer = writer

    @property
    def hung_up(self) -> bool:
        """Whether the child is known to be gone."""
        return self._reader.at_eof() or self._writer.is_closing()

    async def receive(self) -> dict[str, Any]:
        """Return the next message, or raise `LinkClosed`."""
        try:
            (length,) = struct.unpack(">I", await self._reader.readexactly(4))
            if length > MAX_FRAME:
                raise LinkClosed(f"a frame of {length} bytes")
            message = json.loads(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError, ValueError) as error:
            raise LinkClosed(type(error).__name__) from error
        if not isinstance(message, dict):
            raise LinkClosed("no JSON object")
        return message

    async def send(self, message: dict[str, Any]) -> None:
        """Write a message, or raise `LinkClosed`."""
        payload = json.dumps(message).encode()
        try:
            self._writer.write(struct.pack(">I", len(payload)) + payload)
            await self._writer.drain()
        except ConnectionError as error:
            raise LinkClosed(type(error).__name__) from error

    def hang_up(self) -> None:
        """Close without waiting for it; the child then ends."""
        self._writer.close()

    async def close(self) -> None:
        """Hang up, and return when that is done."""
        self.hang_up()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return
