"""A page in Chromium: what a bot's user has, from the browser's microphone to its jitter buffer."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.async_api import Page as Tab

from simulators.clients.browser import running_chromium
from simulators.clients.rtvi import RtviClient
from simulators.clients.webrtc import FRAME_SECS, LOUD

_SCRIPT = Path(__file__).with_suffix(".js")


class BrowserMicrophone:
    """Plays what `say` is given, in real time.

    Args:
        tab: Where.

    Attributes:
        ended_at: When the last that was said is over, in monotonic seconds; set by `said`.
    """

    def __init__(self, tab: Tab) -> None:
        self._tab = tab
        self._saying: asyncio.Task[float] | None = None
        self.ended_at = 0.0

    def say(self, pcm: np.ndarray) -> None:
        """Play 48 kHz mono samples."""
        encoded = base64.b64encode(pcm.astype("<i2").tobytes()).decode()
        self._saying = asyncio.ensure_future(self._tab.evaluate("say", encoded))

    async def said(self) -> None:
        """Wait until everything was played."""
        if self._saying is not None:
            self.ended_at = _monotonic(await self._saying)
            await asyncio.sleep(max(0.0, self.ended_at - time.monotonic()))


class BrowserPage(RtviClient):
    """One connection to a bot, from a tab. Made by `browser_page`."""

    def __init__(self, tab: Tab) -> None:
        super().__init__()
        self.microphone = BrowserMicrophone(tab)
        self._tab = tab
        self._sending: set[asyncio.Task[Any]] = set()

    def send_raw(self, message: Any) -> None:
        """Send any JSON."""
        sending = asyncio.ensure_future(
            self._tab.evaluate("text => channel.send(text)", json.dumps(message))
        )
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    async def connect(self, url: str, *, noise: float) -> None:
        """Connect, as `webrtc.Page` does.

        Args:
            url: The development runner's.
            noise: How loud the room is, as the root mean square of 16-bit samples.
        """
        await self._tab.expose_binding("received", lambda _, text: self.received(text))
        await self._tab.expose_binding("heard", lambda _, at: self.heard(_monotonic(at)))
        # Any page of the bot's own will do.
        await self._tab.goto(f"{url}/status")
        await self._tab.add_script_tag(path=_SCRIPT)
        await self._tab.evaluate("connect", {"noise": noise, "loud": LOUD, "blockSecs": FRAME_SECS})

    async def hang_up(self) -> None:
        """Leave."""
        await asyncio.gather(*self._sending, return_exceptions=True)
        await self._tab.evaluate("hangUp")
        self.closed.set()


def _monotonic(epoch_ms: float) -> float:
    """A browser's time on this machine, in monotonic seconds."""
    return epoch_ms / 1000 - time.time() + time.monotonic()


@asynccontextmanager
async def browser_page(url: str, *, noise: float = 0.0) -> AsyncGenerator[BrowserPage]:
    """A connected page in a browser of its own. See `BrowserPage.connect`."""
    async with running_chromium() as browser:
        connection = BrowserPage(await browser.new_page())
        await connection.connect(url, noise=noise)
        try:
            yield connection
        finally:
            await connection.hang_up()
