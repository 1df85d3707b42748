import asyncio
import socket

from panoveil.streams import Limits, Record
from panoveil.streams._kcl.gateway import Gateway
from panoveil.streams._kcl.session import Watch
from panoveil.streams._lag import Lag


async def nothing(record: Record) -> None:
    """Do nothing."""


async def test_a_child_that_connects_at_the_very_end_is_hung_up_on() -> None:
    gateway = Gateway(nothing, Limits(), Watch(lambda: None, Lag("gateway")))
    ours, theirs = socket.socketpair()
    child, to_service = await asyncio.open_unix_connection(sock=theirs)
    gateway._accept(*await asyncio.open_unix_connection(sock=ours))
    await gateway.reset()
    assert gateway.sessions == 0
    assert await asyncio.wait_for(child.read(), 60) == b""
    to_service.close()
    await to_service.wait_closed()
