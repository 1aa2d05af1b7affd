"""One thing at a time that is done later: the one that was asked for last."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest
from pipecat.utils.asyncio.task_manager import TaskManager
from pipecat.utils.base_object import BaseObject

from sonora_app.turns.waiting import Waiting

pytestmark = pytest.mark.unit


def owner() -> BaseObject:
    return BaseObject(task_manager=TaskManager())


def noting(done: list[str], what: str) -> Callable[[], Coroutine[None, None, None]]:
    async def note() -> None:
        done.append(what)

    return note


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.005)


async def test_of_two_that_are_asked_for_at_once_the_last_is_done() -> None:
    done: list[str] = []
    waiting = Waiting(owner())
    await waiting.wait(0.01, noting(done, "first"))
    await asyncio.gather(
        waiting.wait(0.01, noting(done, "second")), waiting.wait(0.01, noting(done, "third"))
    )
    await until(lambda: bool(done))
    await asyncio.sleep(0.05)
    assert done == ["third"]


async def test_nothing_is_done_once_it_is_stopped() -> None:
    done: list[str] = []
    waiting = Waiting(owner())
    await waiting.wait(0.01, noting(done, "it"))
    await waiting.stop()
    await asyncio.sleep(0.03)
    assert done == []


async def test_what_is_done_may_wait_anew() -> None:
    done: list[str] = []
    waiting = Waiting(owner())

    async def again() -> None:
        await waiting.wait(0.01, noting(done, "again"))
        done.append("once")

    await waiting.wait(0.01, again)
    await until(lambda: len(done) > 1)
    assert done == ["once", "again"]
