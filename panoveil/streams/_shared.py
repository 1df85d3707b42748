"""Work that several records ask for at the same time is done once, and all of them get what came of it."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """Saves work within one process only: that nothing is done twice *in effect* is the ledger's to see to."""

    def __init__(self) -> None:
        """Nothing is under way."""
        self._under_way: dict[Hashable, asyncio.Future[T]] = {}

    async def do(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """Return what `work` returns, or raise what it raises; where the same key is under way, what comes of that.

        Whoever waits for one that is cancelled does the work itself.
        """
        while (other := self._under_way.get(key)) is not None:
            await asyncio.wait([other])
            if not other.cancelled():
                return other.result()
        mine: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._under_way[key] = mine
        try:
            result = await work()
        except asyncio.CancelledError:
            mine.cancel()
            raise
        except BaseException as error:
            mine.set_exception(error)
            mine.exception()  # nobody else may have asked
            raise
        else:
            mine.set_result(result)
            return result
        finally:
            del self._under_way[key]
