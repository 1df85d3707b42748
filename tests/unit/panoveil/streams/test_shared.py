"""What several ask for at once is done once; whoever is left alone with it does it."""

import asyncio

import pytest

from panoveil.streams import Shared


class Work:
    """Counts how often it was begun, and ends when it is told to."""

    def __init__(self) -> None:
        self.begun = 0
        self.end: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def __call__(self) -> str:
        self.begun += 1
        return await asyncio.shield(self.end)


async def begun(count: int, work: Work) -> None:
    while work.begun < count:  # noqa: ASYNC110 - one turn of the loop after the other
        await asyncio.sleep(0)


async def test_those_who_ask_at_the_same_time_share_it() -> None:
    work, shared = Work(), Shared[str]()
    asked = [asyncio.create_task(shared.do("a", work)) for _ in range(5)]
    await begun(1, work)
    work.end.set_result("done")
    assert await asyncio.gather(*asked) == ["done"] * 5
    assert work.begun == 1


async def test_who_asks_later_has_it_done_again() -> None:
    work, shared = Work(), Shared[str]()
    work.end.set_result("done")
    assert [await shared.do("a", work), await shared.do("a", work)] == ["done", "done"]
    assert work.begun == 2


async def test_other_keys_do_not_wait() -> None:
    work, other, shared = Work(), Work(), Shared[str]()
    other.end.set_result("other")
    first = asyncio.create_task(shared.do("a", work))
    await begun(1, work)
    assert await shared.do("b", other) == "other"
    work.end.set_result("done")
    assert await first == "done"


async def test_a_failure_is_everybodys() -> None:
    work, shared = Work(), Shared[str]()
    asked = [asyncio.create_task(shared.do("a", work)) for _ in range(3)]
    await begun(1, work)
    work.end.set_exception(ValueError("broken"))
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [str(error) for error in found] == ["broken"] * 3
    with pytest.raises(ValueError, match="broken"):
        await shared.do("a", work)


async def test_who_waited_for_one_that_is_cancelled_does_it() -> None:
    work, shared = Work(), Shared[str]()
    first = asyncio.create_task(shared.do("a", work))
    await begun(1, work)
    second, third = (asyncio.create_task(shared.do("a", work)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await begun(2, work)
    work.end.set_result("done")
    assert (await second, await third, work.begun) == ("done", "done", 2)
