"""What the log tells of a client from which nothing comes any more."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from loguru import logger

from sonora_app.call.presence import presence as module
from sonora_app.call.presence.presence import Presence

pytestmark = pytest.mark.unit


class SilentConnection:
    """A connection by which no packet arrives."""

    def __init__(self) -> None:
        self.pc = SimpleNamespace(getStats=self._stats, connectionState="connected")

    def is_connected(self) -> bool:
        return True

    async def _stats(self) -> dict[str, Any]:
        return {}


async def test_a_client_that_is_gone_is_told_of_and_is_no_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Anybody who closes a page is one, so a warning would tell an operator nothing."""
    monkeypatch.setattr(module, "GONE_SECS", 0.2)
    told: list[str] = []
    sink = logger.add(lambda line: told.append(str(line).strip()), format="{level} {message}")
    connection: Any = SilentConnection()
    presence = Presence(connection)
    presence.connected()
    gone = asyncio.Event()
    presence.lost.add(_setting(gone))
    watching = asyncio.create_task(presence.run())
    try:
        await asyncio.wait_for(gone.wait(), 30)
    finally:
        watching.cancel()
        logger.remove(sink)

    assert not presence.there
    assert [line for line in told if "from the client" in line] == [
        "INFO Nothing has come from the client for 0.2 s"
    ]


def _setting(event: asyncio.Event) -> Any:
    async def listener() -> None:
        event.set()

    return listener
