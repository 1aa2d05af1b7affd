"""What every page of ours does over its connection: RTVI messages, and hearing the bot."""

import asyncio
import json
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

HANGS_SECS = 30.0
"""After so long a wait is given up: a limit that only a bot that hangs comes to."""


class RtviClient(ABC):
    """A page that is connected to a bot, by whatever means.

    Attributes:
        messages: What came from the bot, each with `received_at` in monotonic seconds.
        sounds: Monotonic times of the frames with sound in them.
        closed: Set when the connection is over.
    """

    def __init__(self) -> None:
        """Create a page that has heard nothing yet."""
        self.messages: list[dict[str, Any]] = []
        self.sounds: list[float] = []
        self.closed = asyncio.Event()
        self._arrived = asyncio.Condition()
        self._sound = asyncio.Condition()
        self._announcing: set[asyncio.Task[None]] = set()

    # --- Sending

    async def ready(self) -> dict[str, Any]:
        """Say client-ready and wait for bot-ready."""
        self.send("client-ready", {"version": "2.0.0", "about": {"library": "sonora-tests"}})
        return await self.wait_for(lambda message: message["type"] == "bot-ready")

    def send(self, kind: str, data: Any = None, *, message_id: str | None = None) -> str:
        """Send an RTVI message; returns its id."""
        message_id = message_id or uuid.uuid4().hex
        self.send_raw({"label": "rtvi-ai", "type": kind, "id": message_id, "data": data})
        return message_id

    @abstractmethod
    def send_raw(self, message: Any) -> None:
        """Send any JSON."""

    async def action(self, action: str, **arguments: Any) -> dict[str, Any]:
        """Send an action and wait for its answer: a server-response or an error-response."""
        message_id = self.send(
            "client-message", {"t": "action", "d": {"action": action, "arguments": arguments}}
        )
        return await self.answer_to(message_id)

    async def answer_to(
        self, message_id: str, *, timeout_secs: float = HANGS_SECS
    ) -> dict[str, Any]:
        """Wait for the answer to a message."""
        return await self.wait_for(
            lambda message: (
                message.get("id") == message_id
                and message["type"] in ("server-response", "error-response")
            ),
            timeout_secs=timeout_secs,
        )

    def type_text(self, text: str, *, audio_response: bool = True) -> str:
        """Send RTVI send-text."""
        return self.send(
            "send-text",
            {
                "content": text,
                "options": {"run_immediately": True, "audio_response": audio_response},
            },
        )

    # --- Receiving

    async def wait_for(
        self,
        wanted: Callable[[dict[str, Any]], bool],
        *,
        timeout_secs: float = HANGS_SECS,
        after: int = 0,
    ) -> dict[str, Any]:
        """The first message from the `after`th on that is `wanted`, waiting for it if need be."""
        async with asyncio.timeout(timeout_secs), self._arrived:
            while True:
                for message in self.messages[after:]:
                    if wanted(message):
                        return message
                await self._arrived.wait()

    async def event(
        self, name: str, *, timeout_secs: float = HANGS_SECS, after: int = 0, **fields: Any
    ) -> dict[str, Any]:
        """Wait for a server-message of Sonora's with these fields; returns its data."""

        def wanted(message: dict[str, Any]) -> bool:
            data = message.get("data") or {}
            return (
                message["type"] == "server-message"
                and data.get("type") == "sonora"
                and data.get("event") == name
                and all(data.get(key) == value for key, value in fields.items())
            )

        return (await self.wait_for(wanted, timeout_secs=timeout_secs, after=after))["data"]

    def events(self, name: str) -> list[dict[str, Any]]:
        """Sonora's server-messages of one kind so far."""
        return [
            message["data"]
            for message in self.messages
            if message["type"] == "server-message" and message["data"].get("event") == name
        ]

    async def told_words(self, count: int, *, after: int = 0) -> None:
        """Wait until the bot has spoken `count` words, as it tells, since the `after`th message."""
        await self.wait_for(
            lambda _: (
                sum(each["type"] == "bot-tts-text" for each in self.messages[after:]) >= count
            ),
            after=after,
        )

    async def sound(self, *, since: float, timeout_secs: float = HANGS_SECS) -> float:
        """Wait for sound from the bot after the monotonic time `since`; returns when it came."""
        async with asyncio.timeout(timeout_secs), self._sound:
            while True:
                for moment in self.sounds:
                    if moment > since:
                        return moment
                await self._sound.wait()

    async def silence(self, secs: float, *, timeout_secs: float = HANGS_SECS) -> None:
        """Wait until the bot has been silent for `secs`."""
        async with asyncio.timeout(timeout_secs):
            silent_for = 0.0
            while silent_for < secs:
                await asyncio.sleep(secs - silent_for)
                silent_for = time.monotonic() - (self.sounds[-1] if self.sounds else 0.0)

    # --- What comes

    def received(self, raw: str | bytes) -> None:
        """Take a message from the bot."""
        message = json.loads(raw)
        if message.get("label") != "rtvi-ai":
            if message.get("message", {}).get("type") == "peerLeft":
                self.closed.set()
            return
        message["received_at"] = time.monotonic()
        self.messages.append(message)
        self._announce(self._arrived)

    def heard(self, at: float) -> None:
        """Take note of sound from the bot at a monotonic time."""
        self.sounds.append(at)
        self._announce(self._sound)

    def _announce(self, what: asyncio.Condition) -> None:
        async def announce() -> None:
            async with what:
                what.notify_all()

        announcing = asyncio.ensure_future(announce())
        self._announcing.add(announcing)
        announcing.add_done_callback(self._announcing.discard)
