"""Deepgram's live transcription: `/v1/listen` (Nova) and `/v2/listen` (Flux).

What is recognised is a script: each stretch of sound between silences is heard as the next of
`hears`. Messages are made with the models of Deepgram's SDK, so their shapes are its shapes.
"""

import asyncio
import json
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from deepgram.listen.v1.types import ListenV1Results
from deepgram.listen.v2.types import (
    ListenV2ConfigureSuccess,
    ListenV2Connected,
    ListenV2TurnInfo,
)
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request

from tests.vendors.websocket import WebSocketVendor

LOUD = 300.0
"""Root mean square, of 16-bit samples, above which a message of audio counts as speech."""

QUIET_SECS = 0.4
"""Silence after which Flux takes a turn for ended."""


@dataclass(frozen=True)
class Stretch:
    """Sound between two silences.

    Parameters:
        samples: 16-bit mono, from the first sound to the end of what was sent.
        rate: How many of them there are in a second.
        connection: What it came in by.
    """

    samples: np.ndarray
    rate: int
    connection: ServerConnection


class DeepgramVendor(WebSocketVendor):
    """A recogniser that hears what it is told to.

    Attributes:
        hears: What the next stretches of speech are heard as; when it is empty, as nothing.
        final_secs: From the end of speech, as the client or Flux finds it, to the transcript.
        endpointing_secs: Silence after which Nova tells a final result unasked; None: never.
        sound_at: When sound came in last, in monotonic seconds.
        log: Also `speech` (a stretch began), `finalize`, `keepalive`, `configure`, `close`,
            `final` (transcript).
    """

    paths = ("/v1/listen", "/v2/listen")

    def __init__(self, key: str) -> None:
        """Create a recogniser that has heard nothing yet."""
        super().__init__(key)
        self.hears: deque[str] = deque()
        self.final_secs = 0.0
        self.endpointing_secs: float | None = None
        self.sound_at = 0.0

    def shown_key(self, request: Request) -> str:
        """The key of `Authorization: Token`."""
        return request.headers.get("Authorization", "").removeprefix("Token ")

    async def recognise(self, stretch: Stretch) -> str:
        """What a stretch of sound is heard as."""
        return self.hears.popleft() if self.hears else ""

    async def attend(self, connection: ServerConnection) -> None:
        """Listen until the client closes."""
        assert connection.request is not None
        parts = urlsplit(connection.request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        listener = _Nova if parts.path == "/v1/listen" else _Flux
        await listener(self, connection, query).run()


class _Listener:
    """One connection."""

    def __init__(
        self, vendor: DeepgramVendor, connection: ServerConnection, query: Mapping[str, str]
    ) -> None:
        self.vendor = vendor
        self.connection = connection
        self.rate = int(query["sample_rate"])
        self.model = query["model"]
        self.request_id = str(uuid.uuid4())
        self.heard_secs = 0.0
        self.speech_at: float | None = None
        """Where, in seconds of audio, the present stretch of speech began."""
        self.loud_at = 0.0
        self._stretch: list[np.ndarray] = []

    async def run(self) -> None:
        await self.begin()
        async for message in self.connection:
            if isinstance(message, bytes):
                await self._audio(message)
                continue
            command = json.loads(message)
            self.vendor.log.add(_LOGGED[command["type"]], **command)
            if command["type"] == "CloseStream":
                return
            await self.command(command)

    async def begin(self) -> None: ...

    async def command(self, command: dict[str, Any]) -> None: ...

    async def started(self) -> None: ...

    async def went_on(self) -> None: ...

    async def send(self, message: Any) -> None:
        await self.connection.send(message.json())

    def coming(self) -> str:
        return self.vendor.hears[0] if self.vendor.hears else ""

    async def heard(self) -> str:
        """The transcript of the stretch that ended, once it is due."""
        samples = np.concatenate(self._stretch)
        self.speech_at, self._stretch = None, []
        text = await self.vendor.recognise(Stretch(samples, self.rate, self.connection))
        await asyncio.sleep(self.vendor.final_secs)
        self.vendor.log.add("final", transcript=text)
        return text

    def words(self, text: str) -> list[dict[str, Any]]:
        return [
            {
                "word": word,
                "punctuated_word": word,
                "start": self.heard_secs,
                "end": self.heard_secs,
                "confidence": 0.99,
            }
            for word in text.split()
        ]

    async def _audio(self, audio: bytes) -> None:
        pcm = np.frombuffer(audio, np.int16)
        samples = pcm.astype(np.float32)
        self.heard_secs += len(samples) / self.rate
        if float(np.sqrt(np.mean(samples**2))) > LOUD:
            self.loud_at = self.heard_secs
            self.vendor.sound_at = time.monotonic()
            if self.speech_at is None:
                self.speech_at = self.heard_secs
                self.vendor.log.add("speech")
                await self.started()
        if self.speech_at is not None:
            self._stretch.append(pcm)
        await self.went_on()


class _Nova(_Listener):
    """Answers `Finalize`, and tells the first half as interim."""

    async def started(self) -> None:
        text = self.coming()
        if text:
            await self._result(text[: len(text) // 2], final=False)

    async def went_on(self) -> None:
        silence = self.vendor.endpointing_secs
        if silence is None or self.speech_at is None:
            return
        if self.heard_secs - self.loud_at >= silence:
            await self._result(await self.heard(), final=True)

    async def command(self, command: dict[str, Any]) -> None:
        if command["type"] == "Finalize":
            text = await self.heard() if self.speech_at is not None else ""
            await self._result(text, final=True, from_finalize=True)

    async def _result(self, text: str, *, final: bool, from_finalize: bool = False) -> None:
        alternative = {"transcript": text, "confidence": 0.99, "words": self.words(text)}
        await self.send(
            ListenV1Results(
                channel_index=[0, 1],
                duration=self.heard_secs - (self.speech_at or self.heard_secs),
                start=self.speech_at or self.heard_secs,
                is_final=final,
                speech_final=final,
                from_finalize=from_finalize,
                channel={"alternatives": [alternative]},  # pyright: ignore[reportArgumentType]
                metadata={  # pyright: ignore[reportArgumentType]
                    "request_id": self.request_id,
                    "model_info": {"name": self.model, "version": "0", "arch": "nova-3"},
                    "model_uuid": self.request_id,
                },
            )
        )


class _Flux(_Listener):
    """Finds the ends of turns by itself."""

    def __init__(
        self, vendor: DeepgramVendor, connection: ServerConnection, query: Mapping[str, str]
    ) -> None:
        super().__init__(vendor, connection, query)
        self.sent = 0
        self.turn = 0

    async def begin(self) -> None:
        await self.send(
            ListenV2Connected(request_id=self.request_id, sequence_id=self._next_number())
        )

    async def command(self, command: dict[str, Any]) -> None:
        if command["type"] == "Configure":
            await self.send(
                ListenV2ConfigureSuccess(
                    request_id=self.request_id,
                    sequence_id=self._next_number(),
                    thresholds=command.get("thresholds", {}),
                    keyterms=command.get("keyterms", []),
                    language_hints=command.get("language_hints"),
                )
            )

    async def started(self) -> None:
        text = self.coming()
        if text:
            await self._turn("StartOfTurn", text.split()[0])
            await self._turn("Update", text[: len(text) // 2])

    async def went_on(self) -> None:
        if self.speech_at is not None and self.heard_secs - self.loud_at >= QUIET_SECS:
            text = await self.heard()
            if text:
                await self._turn("EndOfTurn", text)
                self.turn += 1

    async def _turn(self, event: str, text: str) -> None:
        await self.send(
            ListenV2TurnInfo(
                request_id=self.request_id,
                sequence_id=self._next_number(),
                event=event,  # pyright: ignore[reportArgumentType]
                turn_index=self.turn,
                audio_window_start=self.speech_at or self.heard_secs,
                audio_window_end=self.heard_secs,
                transcript=text,
                words=self.words(text),  # pyright: ignore[reportArgumentType]
                end_of_turn_confidence=0.9 if event == "EndOfTurn" else 0.1,
                trigger="model" if event == "EndOfTurn" else None,
            )
        )

    def _next_number(self) -> int:
        self.sent += 1
        return self.sent - 1


_LOGGED = {
    "Finalize": "finalize",
    "KeepAlive": "keepalive",
    "Configure": "configure",
    "CloseStream": "close",
}
