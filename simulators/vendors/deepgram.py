"""Deepgram's live transcription: `/v1/listen` (Nova) and `/v2/listen` (Flux).

What is recognised is a script: each stretch of sound between silences is heard as the next of
`hears`. Messages are made with the models of Deepgram's SDK, so their shapes are its shapes.
Flux's events follow https://developers.deepgram.com/docs/flux/state.
"""

import asyncio
import contextlib
import hashlib
import json
import time
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from deepgram.listen.v1.types import ListenV1Error, ListenV1Metadata, ListenV1Results
from deepgram.listen.v2.types import (
    ListenV2ConfigureSuccess,
    ListenV2Connected,
    ListenV2FatalError,
    ListenV2TurnInfo,
)
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request

from simulators.vendors.faults import LATE_SECS, LOSES, Breakage, Fault, Quirk
from simulators.vendors.websocket import WebSocketVendor, drip

LOUD = 300.0
"""What counts as speech unless there is noise about; see `DeepgramVendor.loud`."""

QUIET_SECS = 0.4
"""Silence after which Flux takes a turn for ended."""

EAGER_SECS = 0.2
"""Silence after which Flux says that a turn may have ended, when it was asked to."""

INTERIM_SECS = 0.25
"""How much audio goes by between two interim results, or two of Flux's updates."""

_WORD_SECS = 0.3
"""How much speech an interim result takes a word to have."""


@dataclass(frozen=True)
class Stretch:
    """Sound between two silences.

    Parameters:
        samples: 16-bit mono, from the first sound to the end of what was sent.
        rate: How many of them there are in a second.
        connection: What it came in by.
        ended_secs: Where in what came in by that it ends, in seconds.
    """

    samples: np.ndarray
    rate: int
    connection: ServerConnection
    ended_secs: float = 0.0

    @property
    def began_secs(self) -> float:
        """Where in what came in it begins, in seconds."""
        return self.ended_secs - len(self.samples) / self.rate

    def followed_by(self, later: "Stretch") -> "Stretch":
        """This and a later one of the same connection, with the silence between them."""
        silence = round((later.began_secs - self.ended_secs) * self.rate)
        between = np.zeros(max(0, silence), np.int16)
        return replace(later, samples=np.concatenate([self.samples, between, later.samples]))


class DeepgramVendor(WebSocketVendor):
    """A recogniser that hears what it is told to.

    Attributes:
        hears: What the next stretches of speech are heard as; when it is empty, as nothing. A
            tuple comes in as many final results.
        languages: The language of what is heard, by its text; of any other, the first of those
            that are hinted. It is told of where several languages may be spoken.
        loud: Root mean square, of 16-bit samples, above which a message of audio counts as speech.
        final_secs: From the end of speech, as the client or Flux finds it, to the transcript.
        endpointing_secs: Silence after which Nova tells a final result unasked; None: never.
        quiet_secs: Silence after which Flux takes a turn for ended.
        fault: What goes wrong next; None: nothing.
        quirks: What is done with what the next stretches of speech were, in order.
        sound_at: When sound came in last, in monotonic seconds.
        log: Also `speech` (a stretch began), `finalize`, `keepalive`, `configure`, `close`,
            `eager` and `resumed` (Flux), `final` (transcript), `broken` (how), `quirk` (how).
    """

    paths = ("/v1/listen", "/v2/listen")

    def __init__(self, key: str) -> None:
        """Create a recogniser that has heard nothing yet."""
        super().__init__(key)
        self.hears: deque[str | tuple[str, ...]] = deque()
        self.languages: dict[str, str] = {}
        self.loud = LOUD
        self.final_secs = 0.0
        self.endpointing_secs: float | None = None
        self.quiet_secs = QUIET_SECS
        self.fault: Fault | None = None
        self.quirks: deque[Quirk] = deque()
        self.sound_at = 0.0

    def shown_key(self, request: Request) -> str:
        """The key of `Authorization: Token`."""
        return request.headers.get("Authorization", "").removeprefix("Token ")

    async def recognise(self, stretch: Stretch) -> str | tuple[str, ...]:
        """What a stretch of sound is heard as."""
        return self.hears.popleft() if self.hears else ""

    def listen(self, loudness: float) -> None:
        """Take in how loud a message of audio is, as the root mean square of its samples."""

    def timed(self, text: str, heard_secs: float) -> Sequence[tuple[str, float, float]]:
        """The words of a text, each with where it begins and ends in the sound, in seconds.

        Args:
            text: What was heard.
            heard_secs: How much sound has come in.

        Returns:
            The words; none if all that is known of them is the sound that they were heard in.
        """
        return ()

    def left_over(self) -> str:
        """What is told when it is asked for more, with no sound since it was asked before."""
        return ""

    async def attend(self, connection: ServerConnection) -> None:
        """Listen until the client closes."""
        assert connection.request is not None
        parts = urlsplit(connection.request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        listener = _Nova if parts.path == "/v1/listen" else _Flux
        await listener(self, connection, query).run()

    def fault_due(self, speech_secs: float | None) -> Fault | None:
        """The fault that is due after so much speech, or with the transcript (None)."""
        fault = self.fault
        if fault is None:
            return None
        if fault.after_secs is None or speech_secs is None:
            due = fault.after_secs is speech_secs
        else:
            due = speech_secs >= fault.after_secs
        if due and not fault.lasting:
            self.fault = None
        return fault if due else None


class _Listener:
    """One connection."""

    def __init__(
        self, vendor: DeepgramVendor, connection: ServerConnection, query: Mapping[str, str]
    ) -> None:
        self.vendor = vendor
        self.connection = connection
        self.query = dict(query)
        self.rate = int(query["sample_rate"])
        self.model = query["model"]
        self.request_id = str(uuid.uuid4())
        self.heard_secs = 0.0
        self.speech_at: float | None = None
        """Where, in seconds of audio, the present stretch of speech began."""
        self.loud_at = 0.0
        self.told_at = 0.0
        """Where, in seconds of audio, something was told last."""
        self.stalled = self.slow = self.broken = False
        self._stretch: list[np.ndarray] = []
        self._closing: asyncio.Task[None] | None = None
        self._due: asyncio.Queue[tuple[float, str]] = asyncio.Queue()

    async def run(self) -> None:
        sending = asyncio.create_task(self._send_what_is_due())
        try:
            self.begin()
            async for message in self.connection:
                if isinstance(message, bytes):
                    await self._audio(message)
                    continue
                command = json.loads(message)
                self.vendor.log.add(_LOGGED[command["type"]], **command)
                if command["type"] == "CloseStream":
                    self.ended()
                    # What was heard until then is told before the connection closes.
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._due.join(), 1)
                    return
                await self.command(command)
        finally:
            sending.cancel()

    def begin(self) -> None: ...

    def ended(self) -> None: ...

    async def command(self, command: dict[str, Any]) -> None: ...

    def started(self) -> None: ...

    async def went_on(self, loud: bool) -> None: ...

    def error(self) -> Any: ...

    @property
    def quirk(self) -> Quirk | None:
        """What is done with the present stretch of speech."""
        return self.vendor.quirks[0] if self.vendor.quirks else None

    def send_final(
        self, message: Any, *, interim: Any, empty: Any, unasked: Any = None, in_secs: float
    ) -> None:
        """Send the last final result of a stretch, or what its quirk makes of it.

        Args:
            message: The result.
            interim: The same, before it was final.
            empty: The same, without words.
            unasked: The same, not asked for.
            in_secs: When.
        """
        quirk = self.quirk
        if self.vendor.quirks:
            self.vendor.log.add("quirk", how=self.vendor.quirks.popleft())
        match quirk:
            case Quirk.EMPTY:
                self.send(empty, in_secs=in_secs)
            case Quirk.NONE:
                pass
            case Quirk.UNKNOWN:
                self.send(_Surprise(), in_secs=in_secs)
            case Quirk.TWICE:
                self.send(message, in_secs=in_secs)
                self.send(message, in_secs=in_secs)
            case Quirk.OUT_OF_ORDER:
                self.send(message, in_secs=in_secs)
                self.send(interim, in_secs=in_secs + 0.05)
            case Quirk.UNASKED:
                self.send(unasked or message, in_secs=in_secs)
            case Quirk.LATE:
                self.send(message, in_secs=in_secs + LATE_SECS)
            case _:
                self.send(message, in_secs=in_secs)

    def send(self, message: Any, *, in_secs: float = 0.0) -> None:
        """Send a message, in order, once it is due."""
        if not self.stalled:
            self._due.put_nowait((time.monotonic() + in_secs, message.json()))

    def coming(self) -> str:
        """What the present stretch of speech will be heard as, when that is known before."""
        text = self.vendor.hears[0] if self.vendor.hears else ""
        return text if isinstance(text, str) else " ".join(text)

    async def heard(self) -> tuple[str, ...]:
        """The finals of the stretch of speech that has ended.

        Over a connection that has gone wrong they are lost, and so stay to be heard.
        """
        samples, self._stretch = np.concatenate(self._stretch), []
        if self.broken:
            return (self.coming(),)
        if self.quirk in LOSES:
            return (self.coming(),)
        stretch = Stretch(samples, self.rate, self.connection, self.heard_secs)
        text = await self.vendor.recognise(stretch)
        return (text,) if isinstance(text, str) else text

    def so_far(self) -> str:
        """As much of what is coming as may have been heard by now, but not all."""
        if self.quirk is Quirk.UNSHOWN:
            return ""
        words = self.coming().split()
        spoken = self.loud_at - (self.speech_at if self.speech_at is not None else self.loud_at)
        return " ".join(words[: min(1 + int(spoken / _WORD_SECS), len(words) - 1)])

    def words(self, text: str) -> list[dict[str, Any]]:
        """The words of a text, spread evenly over the speech that they were heard in, or timed."""
        words = text.split()
        start = self.speech_at if self.speech_at is not None else self.heard_secs
        each = max(0.0, self.loud_at - start) / max(1, len(words))
        spread = [
            (word, start + number * each, start + (number + 1) * each)
            for number, word in enumerate(words)
        ]
        return [
            {
                "word": word,
                "punctuated_word": word,
                "start": round(begins, 3),
                "end": round(ends, 3),
                "confidence": 0.99,
            }
            for word, begins, ends in self.vendor.timed(text, self.heard_secs) or spread
        ]

    @property
    def hints(self) -> list[str]:
        """The languages that are expected."""
        assert self.connection.request is not None
        return parse_qs(urlsplit(self.connection.request.path).query).get("language_hint", [])

    def language_of(self, text: str) -> str:
        """The language of a text, or of the part of it that was heard so far."""
        told = (of for whole, of in self.vendor.languages.items() if text and text in whole)
        return next(told, (self.hints or ["en"])[0])

    async def break_if_due(self, speech_secs: float | None) -> bool:
        """Go wrong, if something is to go wrong now; tells whether it did."""
        fault = None if self.broken else self.vendor.fault_due(speech_secs)
        if fault is None:
            return False
        self.broken = True
        self.vendor.log.add("broken", how=fault.how)
        match fault.how:
            case Breakage.DROP:
                self.connection.transport.abort()
            case Breakage.CLOSE:
                self._close()
            case Breakage.STALL:
                self.stalled = True
            case Breakage.ERROR:
                await self.connection.send(self.error().json())
                self._close()
            case Breakage.GARBAGE:
                await self.connection.send("{")
            case Breakage.SLOW:
                self.slow = True
        return fault.how is not Breakage.SLOW

    def _close(self) -> None:
        # Beside the reading, which has to go on for the closing handshake to come through.
        self._closing = asyncio.create_task(self.connection.close(1011))

    async def _audio(self, audio: bytes) -> None:
        pcm = np.frombuffer(audio, np.int16)
        samples = pcm.astype(np.float32)
        self.heard_secs += len(samples) / self.rate
        loudness = float(np.sqrt(np.mean(samples**2)))
        self.vendor.listen(loudness)
        loud = loudness > self.vendor.loud
        if loud:
            self.loud_at = self.heard_secs
            self.vendor.sound_at = time.monotonic()
            if self.speech_at is None:
                self.speech_at = self.heard_secs
                self.vendor.log.add("speech")
                self.started()
        if self.speech_at is not None:
            self._stretch.append(pcm)
            await self.break_if_due(self.loud_at - self.speech_at)
        await self.went_on(loud)

    async def _send_what_is_due(self) -> None:
        try:
            while True:
                due, message = await self._due.get()
                await asyncio.sleep(due - time.monotonic())
                if not self.stalled:
                    await self._send_now(message)
                self._due.task_done()
        except ConnectionClosed:
            pass

    async def _send_now(self, message: str) -> None:
        if self.slow:
            await drip(self.connection, message)
        else:
            await self.connection.send(message)
        text = _final_text(json.loads(message))
        if text:
            self.vendor.log.add("final", transcript=text)


class _Surprise:
    """A message of a type that no client knows."""

    def json(self) -> str:
        """What is sent."""
        return '{"type":"Surprise","event":"Surprise","transcript":""}'


def _final_text(message: Mapping[str, Any]) -> str:
    if message["type"] == "Results" and message["is_final"]:
        return message["channel"]["alternatives"][0]["transcript"]
    return message["transcript"] if message.get("event") == "EndOfTurn" else ""


class _Nova(_Listener):
    """Answers `Finalize`, and tells interim results until then."""

    def started(self) -> None:
        self._interim()

    async def went_on(self, loud: bool) -> None:
        if self.speech_at is None:
            return
        silence = self.vendor.endpointing_secs
        if silence is not None and self.heard_secs - self.loud_at >= silence:
            for text in await self.heard():
                self._result(text, final=True)
            self.speech_at = None
        elif self.heard_secs - self.told_at >= INTERIM_SECS:
            self._interim()

    async def command(self, command: dict[str, Any]) -> None:
        if command["type"] != "Finalize":
            return
        if self.speech_at is None:
            self._result(self.vendor.left_over(), final=True, from_finalize=True)
            return
        if not await self.break_if_due(None):
            *before, last = await self.heard()
            for text in before:
                self._result(text, final=True)
            self._result(last, final=True, from_finalize=True)
        self.speech_at = None

    def ended(self) -> None:
        self.send(
            ListenV1Metadata(
                transaction_key="deprecated",
                request_id=self.request_id,
                sha256=hashlib.sha256(self.request_id.encode()).hexdigest(),
                created=datetime.now(UTC).isoformat(),
                duration=self.heard_secs,
                channels=1,
            )
        )

    def error(self) -> ListenV1Error:
        return ListenV1Error(variant="InternalError", description="Something broke on our side.")

    def _interim(self) -> None:
        self.told_at = self.heard_secs
        text = self.so_far()
        if text and self.query.get("interim_results") == "true":
            self._result(text, final=False)

    def _result(self, text: str, *, final: bool, from_finalize: bool = False) -> None:
        due = self.vendor.final_secs if final and (text or self.speech_at is not None) else 0.0
        if final and from_finalize and self.speech_at is not None:
            self.send_final(
                self._made(text, final=True, from_finalize=True),
                interim=self._made(text, final=False),
                empty=self._made("", final=True, from_finalize=True),
                unasked=self._made(text, final=True),
                in_secs=due,
            )
        else:
            self.send(self._made(text, final=final, from_finalize=from_finalize), in_secs=due)

    def _made(self, text: str, *, final: bool, from_finalize: bool = False) -> ListenV1Results:
        start = self.speech_at if self.speech_at is not None else self.heard_secs
        alternative: dict[str, Any] = {"transcript": text, "confidence": 0.99}
        alternative["words"] = self.words(text)
        if self.query.get("language") == "multi":
            # As in https://developers.deepgram.com/docs/multilingual-code-switching
            alternative["languages_hinted"] = self.hints
            alternative["languages"] = [self.language_of(text)] if text else []
            for word in alternative["words"]:
                word["language"] = self.language_of(text)
        return ListenV1Results(
            channel_index=[0, 1],
            duration=self.heard_secs - start,
            start=start,
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


class _Flux(_Listener):
    """Finds the ends of turns by itself."""

    def __init__(
        self, vendor: DeepgramVendor, connection: ServerConnection, query: Mapping[str, str]
    ) -> None:
        super().__init__(vendor, connection, query)
        self.sent = 0
        self.turn = 0
        self.eager = False
        """Whether the turn was told to have ended, perhaps."""

    def begin(self) -> None:
        self.send(ListenV2Connected(request_id=self.request_id, sequence_id=self._next_number()))

    async def command(self, command: dict[str, Any]) -> None:
        if command["type"] == "Configure":
            self.query.update(command.get("thresholds", {}))
            self.send(
                ListenV2ConfigureSuccess(
                    request_id=self.request_id,
                    sequence_id=self._next_number(),
                    thresholds=command.get("thresholds", {}),
                    keyterms=command.get("keyterms", []),
                    language_hints=command.get("language_hints"),
                )
            )

    def started(self) -> None:
        if self.coming():
            self._turn("StartOfTurn", self.so_far())

    def so_far(self) -> str:
        """As of any recogniser, but a turn begins with a word."""
        shown = self.quirk is not Quirk.UNSHOWN
        return super().so_far() or (self.coming().partition(" ")[0] if shown else "")

    def error(self) -> ListenV2FatalError:
        return ListenV2FatalError(
            sequence_id=self._next_number(),
            code="INTERNAL_SERVER_ERROR",
            description="Something broke on our side.",
        )

    async def went_on(self, loud: bool) -> None:
        if self.speech_at is None:
            self._update("")
            return
        quiet_secs = self.heard_secs - self.loud_at
        if quiet_secs >= self.vendor.quiet_secs:
            await self._end()
        elif quiet_secs >= EAGER_SECS and not self.eager and self.coming() and self._asks_eager:
            self.eager = True
            self.vendor.log.add("eager")
            self._turn("EagerEndOfTurn", self.coming(), in_secs=self.vendor.final_secs)
        elif loud and self.eager:
            self.eager = False
            self.vendor.log.add("resumed")
            self._turn("TurnResumed", self.so_far())
        elif not self.eager:
            self._update(self.so_far())

    @property
    def _asks_eager(self) -> bool:
        return "eager_eot_threshold" in self.query

    async def _end(self) -> None:
        self.eager = False
        known = bool(self.coming())
        if not await self.break_if_due(None) and (text := " ".join(await self.heard())):
            if not known:
                self._turn("StartOfTurn", text.split()[0])
            self.send_final(
                self._made("EndOfTurn", text),
                interim=self._made("Update", text),
                empty=self._made("EndOfTurn", ""),
                in_secs=self.vendor.final_secs,
            )
            self.turn += 1
        self.speech_at = None

    def _update(self, text: str) -> None:
        if self.heard_secs - self.told_at >= INTERIM_SECS:
            self._turn("Update", text)

    def _turn(self, event: str, text: str, *, in_secs: float = 0.0) -> None:
        self.send(self._made(event, text), in_secs=in_secs)

    def _made(self, event: str, text: str) -> ListenV2TurnInfo:
        self.told_at = self.heard_secs
        ending = {"EagerEndOfTurn": 0.6, "EndOfTurn": 0.9}
        return ListenV2TurnInfo(
            request_id=self.request_id,
            sequence_id=self._next_number(),
            event=event,  # pyright: ignore[reportArgumentType]
            turn_index=self.turn,
            audio_window_start=self.speech_at or self.heard_secs,
            audio_window_end=self.heard_secs,
            transcript=text,
            words=self.words(text),  # pyright: ignore[reportArgumentType]
            end_of_turn_confidence=ending.get(event, 0.1),
            trigger="model" if event == "EndOfTurn" else None,
            **self._languages(text),
        )

    def _languages(self, text: str) -> dict[str, Any]:
        if not self.model.endswith("-multi"):
            return {}
        hinted = {"languages_hinted": self.hints} if self.hints else {}
        return {"languages": [self.language_of(text)] if text else [], **hinted}

    def _next_number(self) -> int:
        self.sent += 1
        return self.sent - 1


_LOGGED = {
    "Finalize": "finalize",
    "KeepAlive": "keepalive",
    "Configure": "configure",
    "CloseStream": "close",
}
