"""The same deed for many things, a bounded number at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

Thing = TypeVar("Thing")
Result = TypeVar("Result")

AT_ONCE = 8


async def each(things: Iterable[Thing], deed: Callable[[Thing], Awaitable[Result]], at_once: int = AT_ONCE) -> list[Result]:
    """Return what came of each thing, in their order. The first that fails ends the others, and its error is raised."""
    slots = asyncio.Semaphore(at_once)

    async def one(thing: Thing) -> Result:
        async with slots:
            return await deed(thing)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(thing)) for thing in things]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return [task.result() for task in tasks]
