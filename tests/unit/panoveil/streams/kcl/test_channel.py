import asyncio
import socket
import struct
from collections.abc import AsyncIterator

import pytest

from panoveil.streams._kcl.channel import MAX_FRAME, Channel, LinkClosed
from tests.unit.panoveil.streams.kcl.ends import two_ends


@pytest.fixture
async def ends() -> AsyncIterator[tuple[Channel, Channel]]:
    async with two_ends() as both:
        yield both


async def test_messages_arrive_whole_and_in_order(ends: tuple[Channel, Channel]) -> None:
    here, there = ends
    big = {"action": "processRecords", "records": ["x" * 300_000]}
    sending = asyncio.gather(there.send(big), there.send({"action": "leaseLost"}))
    assert await here.receive() == big
    assert await here.receive() == {"action": "leaseLost"}
    await sending


async def test_a_hang_up_is_noticed(ends: tuple[Channel, Channel]) -> None:
    here, there = ends
    assert not here.hung_up
    await there.close()
    with pytest.raises(LinkClosed):
        await here.receive()
    assert here.hung_up


@pytest.mark.parametrize(
    "garbage", [struct.pack(">I", MAX_FRAME + 1), struct.pack(">I", 2) + b"[]", struct.pack(">I", 1) + b"{", b"\0"]
)
async def test_what_is_no_message_closes_the_link(garbage: bytes) -> None:
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    theirs.sendall(garbage)
    theirs.close()
    channel = Channel(reader, writer)
    with pytest.raises(LinkClosed):
        await channel.receive()
    await channel.close()
