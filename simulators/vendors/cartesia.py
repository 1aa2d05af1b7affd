"""Cartesia's speech over a WebSocket: contexts, PCM, word timestamps, flush and cancel.

The voice is a tone for each word, as long as the word is, with a short pause between words;
`overhearing.py` has one that speaks.
Messages, both ways, are held against the models of Cartesia's SDK.
"""

import asyncio
import base64
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import numpy as np
from cartesia.types.generation_request import GenerationRequest
from cartesia.types.websocket_response import WebsocketResponse
from pydantic import TypeAdapter
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request

from simulators.vendors.faults import Breakage, Fault
from simulators.vendors.websocket import WebSocketVendor, drip

__all__ = ["Breakage", "CartesiaVendor", "Fault"]

PAUSE_SECS = 0.04
"""Silence after each word."""

CHUNK_SECS = 0.1
"""How much audio a message holds at most."""

_RESPONSE: TypeAdapter[WebsocketResponse] = TypeAdapter(WebsocketResponse)

_LOCKED = ("model_id", "voice", "language", "output_format", "add_timestamps")
"""What has to be the same in every message of a context."""


class CartesiaVendor(WebSocketVendor):
    """A voice that says what it is sent.

    Attributes:
        char_secs: How long a character takes to say.
        first_byte_secs: From a text to its first audio.
        real_time_factor: How long making a second of audio takes, in seconds.
        fault: What goes wrong next, between two words; None: nothing.
        log: Also `message` (each message as received), `begun` (context: its first audio left),
            `spoken` (context, text: all its audio left), `cancelled` (context), `broken`
            (context, how, words whose audio left).
    """

    paths = ("/tts/websocket",)

    def __init__(self, key: str) -> None:
        """Create a voice that has said nothing yet."""
        super().__init__(key)
        self.char_secs = 0.05
        self.first_byte_secs = 0.0
        self.real_time_factor = 0.05
        self.fault: Fault | None = None

    @property
    def messages(self) -> list[Mapping[str, Any]]:
        """The messages received so far, without cancellations."""
        return [e.facts for e in self.log.of("message") if not e.facts.get("cancel")]

    @property
    def texts(self) -> list[str]:
        """The texts received so far."""
        return [message["transcript"] for message in self.messages if message["transcript"]]

    def shown_key(self, request: Request) -> str:
        """The key of `X-API-Key`."""
        return request.headers.get("X-API-Key", "")

    def secs(self, text: str) -> float:
        """How long `text` takes to say."""
        return sum(len(word) * self.char_secs + PAUSE_SECS for word in text.split())

    async def sound(self, word: str, rate: int) -> np.ndarray:
        """A word as it sounds, as 16-bit samples, `rate` a second."""
        count = int(len(word) * self.char_secs * rate)
        tone = 6_000 * np.sin(2 * np.pi * 220 * np.arange(count) / rate)
        return tone.astype(np.int16)

    def due(self, text: str, said_secs: float) -> Fault | None:
        """What goes wrong now, in the middle of `text`, after `said_secs` of its context."""
        fault = self.fault
        if fault is None or said_secs < (fault.after_secs or 0.0):
            return None
        if not fault.lasting:
            self.fault = None
        return fault

    async def attend(self, connection: ServerConnection) -> None:
        """Speak until the client closes."""
        contexts: dict[str, _Context] = {}
        try:
            async for raw in connection:
                message = json.loads(raw)
                self.log.add("message", **message)
                name = message["context_id"]
                if message.get("cancel"):
                    cancelled = contexts.pop(name, None)
                    if cancelled is not None:
                        cancelled.end()
                        self.log.add("cancelled", context=name)
                    continue
                GenerationRequest.model_validate(message)
                if name not in contexts:
                    contexts[name] = _Context(self, connection, message)
                await contexts[name].take(message)
        finally:
            for context in contexts.values():
                context.end()


class _Context:
    """One stream of speech: texts in order, and the sounds of them."""

    def __init__(
        self, vendor: CartesiaVendor, connection: ServerConnection, first: Mapping[str, Any]
    ) -> None:
        self._vendor = vendor
        self._connection = connection
        self._name = first["context_id"]
        self._locked = {key: first.get(key) for key in _LOCKED}
        self._rate = first["output_format"]["sample_rate"]
        self._texts: asyncio.Queue[str | None] = asyncio.Queue()
        self._said_secs = 0.0
        self._words: list[str] = []
        self._flushes = 0
        self._slow = False
        self._speaking = asyncio.create_task(self._speak())

    async def take(self, message: Mapping[str, Any]) -> None:
        changed = [key for key in _LOCKED if message.get(key) != self._locked[key]]
        # A message with no text ends the context: Pipecat sends it with the settings of the next.
        if changed and message["transcript"]:
            await self._error(
                HTTPStatus.BAD_REQUEST, f"{', '.join(changed)} cannot change within a context"
            )
            return
        if message["transcript"]:
            await self._texts.put(message["transcript"])
        if not message["continue"]:
            await self._texts.put(None)

    def end(self) -> None:
        self._speaking.cancel()

    async def _speak(self) -> None:
        while (text := await self._texts.get()) is not None:
            if not self._words:
                await asyncio.sleep(self._vendor.first_byte_secs)
            for word in text.split():
                await self._break_if_due(text)
                await self._say(word)
            self._flushes += 1
            await self._send("flush_done", flush_done=True, flush_id=self._flushes)
            self._vendor.log.add("spoken", context=self._name, text=text)
        await self._send("done", done=True, status_code=HTTPStatus.OK)

    async def _say(self, word: str) -> None:
        sound = await self._vendor.sound(word, self._rate)
        secs = len(sound) / self._rate
        if self._locked["add_timestamps"]:
            times = {"start": [self._said_secs], "end": [self._said_secs + secs]}
            await self._send("timestamps", word_timestamps={"words": [word], **times})
        quiet = np.zeros(int(PAUSE_SECS * self._rate), np.int16)
        samples = np.concatenate([sound, quiet])
        size = int(CHUNK_SECS * self._rate)
        for start in range(0, len(samples), size):
            chunk = samples[start : start + size]
            await asyncio.sleep(self._vendor.real_time_factor * len(chunk) / self._rate)
            await self._send(
                "chunk",
                data=base64.b64encode(chunk.tobytes()).decode(),
                step_time=round(1000 * self._vendor.real_time_factor * CHUNK_SECS, 3),
            )
            if not self._words and not start:
                self._vendor.log.add("begun", context=self._name)
        self._said_secs += len(samples) / self._rate
        self._words.append(word)

    async def _break_if_due(self, text: str) -> None:
        fault = self._vendor.due(text, self._said_secs)
        if fault is None:
            return
        words = list(self._words)
        self._vendor.log.add("broken", context=self._name, how=fault.how, words=words)
        match fault.how:
            case Breakage.DROP:
                self._connection.transport.abort()
            case Breakage.CLOSE:
                await self._connection.close()
            case Breakage.ERROR:
                await self._error(HTTPStatus.INTERNAL_SERVER_ERROR, "Something broke on our side.")
            case Breakage.GARBAGE:
                await self._connection.send("{")
            case Breakage.SLOW:
                self._slow = True
                return
            case Breakage.STALL:
                pass
        await asyncio.Future()  # until the context is ended

    async def _error(self, status: HTTPStatus, message: str) -> None:
        await self._send(
            "error",
            done=True,
            status_code=status,
            title=status.phrase,
            message=message,
            error_code=status.name.lower(),
        )

    async def _send(self, kind: str, **fields: Any) -> None:
        message = {
            "type": kind,
            "context_id": self._name,
            "done": False,
            "status_code": HTTPStatus.PARTIAL_CONTENT,
            **fields,
        }
        _RESPONSE.validate_python(message)
        if self._slow:
            await drip(self._connection, json.dumps(message))
        else:
            await self._connection.send(json.dumps(message))
