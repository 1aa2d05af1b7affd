"""What a simulated vendor was asked and did, with the time of each."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Entry:
    """One thing that happened.

    Parameters:
        at_secs: When, in monotonic seconds.
        what: Its kind, such as `connect` or `request`.
        facts: What is known of it.
    """

    at_secs: float
    what: str
    facts: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        """One of its facts."""
        return self.facts[name]


class Log:
    """Everything that happened at a vendor, in order."""

    def __init__(self) -> None:
        """Start empty."""
        self.entries: list[Entry] = []
        self._grown = asyncio.Event()

    def add(self, what: str, **facts: Any) -> Entry:
        """Note that something happened now."""
        entry = Entry(time.monotonic(), what, facts)
        self.entries.append(entry)
        self._grown.set()
        return entry

    def of(self, what: str) -> list[Entry]:
        """What happened of one kind."""
        return [entry for entry in self.entries if entry.what == what]

    async def wait_for(self, what: str, count: int = 1, *, timeout_secs: float = 30.0) -> Entry:
        """Wait until something happened `count` times; returns the last of them."""
        try:
            async with asyncio.timeout(timeout_secs):
                while len(self.of(what)) < count:
                    self._grown.clear()
                    await self._grown.wait()
        except TimeoutError:
            seen = [entry.what for entry in self.entries]
            raise AssertionError(f"{what} did not happen {count} times: {seen}") from None
        return self.of(what)[count - 1]
