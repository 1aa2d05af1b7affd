"""Being told of what happens: in order, and whatever the others do."""

import pytest

from simulators.clients.logged import logged
from sonora_app.runtime.listeners import Listeners

pytestmark = pytest.mark.unit


async def test_all_are_told_in_the_order_in_which_they_came() -> None:
    told: list[tuple[str, str]] = []
    typed = Listeners[str]("typed text")

    async def first(text: str) -> None:
        told.append(("first", text))

    async def broken(text: str) -> None:
        raise ValueError(text)

    async def last(text: str) -> None:
        told.append(("last", text))

    for listener in (first, broken, last):
        typed.add(listener)
    with logged() as log:
        await typed.tell("secreto")
    assert told == [("first", "secreto"), ("last", "secreto")]
    assert "A listener to typed text failed: ValueError" in "".join(log)
    assert "secreto" not in "".join(log)
