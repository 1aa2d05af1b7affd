"""Deepgram services that reconnect for as long as the call lasts, and report when they cannot hear.

Pipecat's services give up for the whole call after a refusal or a few failed attempts, wait four
seconds before they reconnect, and hold up the start of the call while they try. Here

- the start of the call waits for at most `CONNECT_SECS`, and the attempts go on beside the call;
- a connection that drops is opened again at once. When Pipecat's own attempts have failed, they
  start again after `RETRY_SECS`;
- the service checks `HEARD_SECS` after the end of speech whether Deepgram has answered. Interim
  words without a final transcript are not an answer. Without an answer Nova reconnects and sends
  the speech again, and after another `HEARD_SECS` `on_unheard` is called;
- a result that comes twice, or after a later one, is passed over.

Event handlers, besides Pipecat's:

- on_unheard(service): the user spoke, and Deepgram sent nothing, or only interim words. The event
  is not called if Deepgram sent nothing and the service became unusable after the speech began:
  `on_usable_changed` reports that.

A transcript, interim or final, can interrupt the bot. An interruption drops the frames in the
pipeline. So final transcripts are marked as not interruptible.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, NoReturn

from deepgram.listen.v1.types import ListenV1Finalize, ListenV1Results
from pipecat.frames.frames import (
    Frame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.services.stt_service import STTService
from pipecat.transcriptions.language import Language

_LANGUAGES = frozenset(map(str, Language))

CONNECT_SECS = 2.0
"""How long the start of a call, or of an attempt over Flux's socket, waits for Deepgram."""

RETRY_SECS = 5.0
"""The pause between two attempts once Pipecat's own have been given up."""

HEARD_SECS = 2.0
"""How long after the end of speech Deepgram may stay silent. Its answer to `Finalize` takes
0.35 s at the 99th percentile in Pipecat's benchmark, and Flux sends a message every 0.25 s."""

PREROLL_SECS = 0.6
"""Speech is sent again with this much of the audio before its detection, which is longer than the
detection takes."""

UTTERANCE_SECS = 30.0
"""The longest utterance that is sent again."""


class WatchfulSTTService(STTService):
    """Notices speech to which the recogniser sends no answer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # Pipecat's signature
        """Create the service, knowing of no speech yet."""
        super().__init__(*args, **kwargs)
        self._register_event_handler("on_unheard")
        self._answered_at = self._spoke_at = self._heard_at = 0.0
        # Whether words were shown since the last that were confirmed.
        self._shown = False
        self._usable_at_start = True
        self._waiting: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Follow the speech, as the voice activity detector finds it."""
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._usable_at_start = self.is_usable
            self._spoke_at, self._shown = time.monotonic(), False
            await self._stop_waiting()
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame) and not self.is_muted:
            await self._stop_waiting()
            self._waiting = self.create_task(self._wait_for_answer(time.monotonic()))

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame. A final transcript must survive the interruption that it causes.

        An interim transcript interrupts the bot, which drops the frames that wait in the
        pipeline."""
        if isinstance(frame, TranscriptionFrame):
            frame.interruptible = False
            if frame.text.strip():
                self._heard_at, self._shown = time.monotonic(), False
        elif isinstance(frame, InterimTranscriptionFrame) and frame.text.strip():
            self._shown = True
        await super().push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Stop waiting too."""
        await self._stop_waiting()
        await super().cleanup()

    def answered(self) -> None:
        """Note that the recogniser has answered."""
        self._answered_at = time.monotonic()

    async def ask_again(self) -> bool:
        """Try once more to have the last speech recognised. Returns whether that is possible."""
        return False

    async def _wait_for_answer(self, ended_at: float) -> None:
        await asyncio.sleep(HEARD_SECS)
        if self._answered_at >= ended_at and not self._lost:
            return
        if await self.ask_again():
            await asyncio.sleep(HEARD_SECS)
            if self._answered_at >= ended_at and not self._lost:
                return
        if self._lost or self.is_usable or not self._usable_at_start:
            await self._call_event_handler("on_unheard")

    @property
    def _lost(self) -> bool:
        """Whether words of the last speech were shown, and none confirmed."""
        return self._shown and self._heard_at < self._spoke_at

    async def _stop_waiting(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            await self.cancel_task(waiting)


class LastingDeepgramSTTService(WatchfulSTTService, DeepgramSTTService):
    """Nova. Speech that was said while or before its connection broke is sent again.

    Attributes:
        count_others: How many words, of those that were spoken before the user's voice was
            noticed, are somebody else's, who is heard as well; None: none ever are.
        sent_secs: How much sound the present connection has had, in seconds, as Deepgram counts.
    """

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401  # Pipecat's signature
        """Create the service; it connects when it is set up."""
        super().__init__(**kwargs)
        self.count_others: Callable[[Sequence[str]], int] | None = None
        self.sent_secs = 0.0
        # Where in that sound the voice began that is not transcribed yet; 0 where there is none.
        self._voice_secs = 0.0
        self._turn_open = False
        self._spoken: deque[bytes] = deque()
        self._spoken_secs = 0.0
        # Whether there is speech that is not transcribed yet, ended or not.
        self._untranscribed = False
        # Whether the connection has had the earlier speech, and can take new audio.
        self._caught_up = False
        self._speaking = False
        # The last result with words, and where in the sound of which connection it ended.
        self._last_final: tuple[object, float, float, str] | None = None

    @property
    def line(self) -> Any:  # noqa: ANN401  # that is, what Deepgram's SDK has for it
        """The present connection, or None."""
        return self._connection

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Keep speech from its beginning."""
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._untranscribed = self._speaking = True
            self.note_voice(frame.start_secs)
        elif isinstance(frame, UserStartedSpeakingFrame | UserStoppedSpeakingFrame):
            self._turn_open = isinstance(frame, UserStartedSpeakingFrame)
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            self._speaking = False
        await super().process_frame(frame, direction)

    def note_voice(self, secs: float) -> None:
        """Note that a voice began so many seconds ago, unless words of another are still due."""
        if not (self._turn_open or self._voice_secs):
            self._voice_secs = self.sent_secs - secs

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Send sound to Deepgram, and keep it until it is transcribed."""
        self._keep(audio)
        if self._caught_up:
            self.sent_secs += self._secs(audio)
            async for frame in super().run_stt(audio):
                yield frame

    async def ask_again(self) -> bool:
        """Connect anew, which sends what was said once more."""
        await self._connect_anew()
        return self.line is not None

    async def _connect(self) -> None:
        self._caught_up = False
        try:
            async with asyncio.timeout(CONNECT_SECS):
                await super()._connect()
        except TimeoutError:
            # The attempt goes on, and makes it usable again.
            await self.set_usable(False)

    async def _connect_anew(self) -> None:
        self._caught_up = False
        connection, self._connection = self.line, None
        if connection is not None:
            # Broken off, not closed: a peer that is mute would be waited for.
            connection._websocket.transport.abort()
        await self._disconnect()
        await self._connect()

    async def _connection_handler(self) -> NoReturn:
        while True:
            # Returns when it gives up. Pipecat's annotation, inferred, says that it never does.
            await super()._connection_handler()  # pyright: ignore[reportGeneralTypeIssues]
            await asyncio.sleep(RETRY_SECS)
            self._quick_failure_tracker.reset()

    async def _keepalive_handler(self) -> NoReturn:
        # Pipecat starts this whenever it is connected.
        await self.set_usable(True)
        await self._catch_up()
        await super()._keepalive_handler()

    async def _catch_up(self) -> None:
        """Send what was said and not transcribed, then what comes in the meantime."""
        connection = self.line
        if connection is None:
            return
        self.sent_secs = self._voice_secs = 0.0
        if self._untranscribed:
            sent = 0
            while sent < len(self._spoken):
                self.sent_secs += self._secs(self._spoken[sent])
                await connection.send_media(self._spoken[sent])
                sent += 1
        self._caught_up = True
        if self._untranscribed and not self._speaking:
            self.request_finalize()
            await connection.send_finalize(ListenV1Finalize(type="Finalize"))

    async def _on_error(self, error: Any) -> None:  # noqa: ANN401  # Pipecat's signature
        await super()._on_error(error)
        self.create_task(self._connect_anew(), "connect_anew")

    async def _on_message(self, message: Any) -> None:  # noqa: ANN401  # Pipecat's signature
        if isinstance(message, ListenV1Results):
            if self._is_past(message):
                return
            _name_known_languages(message)
            self._leave_out_others(message)
            self.answered()
            if message.is_final and (_words(message) or not self._shown):
                # Words that were shown and are not confirmed may be recognised once more.
                self._spoken.clear()
                self._spoken_secs = 0.0
                if message.from_finalize:
                    self._untranscribed = False
                    if message.start + message.duration > self._voice_secs:
                        self._voice_secs = 0.0
        await super()._on_message(message)

    def _leave_out_others(self, result: ListenV1Results) -> None:
        """Leave out the words that come before the user's voice, if they are not the user's."""
        alternatives = result.channel.alternatives if result.channel else []
        if self.count_others is None or not alternatives or not alternatives[0].words:
            return
        words = alternatives[0].words
        before = [each.word for each in words if each.end <= self._voice_secs]
        if others := self.count_others(before):
            users = words[others:]
            said = " ".join(each.punctuated_word or each.word for each in users)
            left = {"transcript": said, "words": users}
            alternatives[0] = alternatives[0].model_copy(update=left)

    def _is_past(self, result: ListenV1Results) -> bool:
        """Whether the words of a result were confirmed before. One that was not is remembered."""
        words = _words(result)
        if not words:
            return False
        ends_at = result.start + result.duration
        this = (self.line, result.start, ends_at, words)
        if self._last_final is not None and self._last_final[0] is self.line:
            if result.is_final and this == self._last_final:
                return True
            if not result.is_final and ends_at <= self._last_final[2]:
                return True
        if result.is_final:
            self._last_final = this
        return False

    def _keep(self, audio: bytes) -> None:
        self._spoken.append(audio)
        self._spoken_secs += self._secs(audio)
        limit_secs = UTTERANCE_SECS if self._untranscribed else PREROLL_SECS
        while self._spoken_secs > limit_secs and len(self._spoken) > 1:
            self._spoken_secs -= self._secs(self._spoken.popleft())

    def _secs(self, audio: bytes) -> float:
        return len(audio) / (2 * self.sample_rate)


def _name_known_languages(result: ListenV1Results) -> None:
    """Leave out the languages that Pipecat has no name for: it would drop the transcript."""
    alternatives = result.channel.alternatives if result.channel else []
    for number, each in enumerate(alternatives):
        if each.languages:
            known = [code for code in each.languages if code in _LANGUAGES]
            alternatives[number] = each.model_copy(update={"languages": known})


def _words(result: ListenV1Results) -> str:
    alternatives = result.channel.alternatives if result.channel else []
    return alternatives[0].transcript.strip() if alternatives else ""
