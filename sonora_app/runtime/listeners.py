"""Those who want to be told of something that happens in a call."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVarTuple

from loguru import logger

_Told = TypeVarTuple("_Told")


class Listeners(Generic[*_Told]):
    """Who is told of one kind of thing that happens.

    They are told at once and one after the other, in the order in which they began to
    listen, so that what they do keeps its place in the order of things.

    Args:
        name: What happens, for the log.
    """

    def __init__(self, name: str) -> None:
        """Nobody listens yet."""
        self._name = name
        self._listeners: list[Callable[[*_Told], Awaitable[None]]] = []

    def add(self, listener: Callable[[*_Told], Awaitable[None]]) -> None:
        """Have `listener` told from here on."""
        self._listeners.append(listener)

    async def tell(self, *told: *_Told) -> None:
        """It happens now. A listener that fails does not keep it from the others."""
        for listener in self._listeners:
            try:
                await listener(*told)
            except Exception as error:  # noqa: BLE001  # whatever it is, the others are told
                # Not what it says: that may hold what people said.
                logger.error(f"A listener to {self._name} failed: {type(error).__name__}")
