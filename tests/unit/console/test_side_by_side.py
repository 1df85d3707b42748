"""Many at a time, never more than was said, in order; and what one failure does to the others."""

import asyncio

import pytest

from console.side_by_side import each


async def test_results_come_in_order_and_no_more_run_than_was_said() -> None:
    running, most = 0, 0

    async def double(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(10 - number):  # the first takes longest
            await asyncio.sleep(0)
        running -= 1
        return 2 * number

    assert await each(range(10), double, at_once=3) == [2 * number for number in range(10)]
    assert most == 3


async def test_the_first_that_fails_ends_the_others_and_its_error_is_raised_bare() -> None:
    done: list[int] = []

    async def deed(number: int) -> None:
        if number == 1:
            raise ValueError("one")
        await asyncio.Event().wait()
        done.append(number)

    with pytest.raises(ValueError, match="one"):
        await each(range(3), deed)
    assert done == []
    assert len(asyncio.all_tasks()) == 1
