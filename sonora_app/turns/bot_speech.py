"""What the bot is saying, how much of it was heard, and whether it is held back for a moment.

A sound of the user's holds the bot's speech back at once, before anybody knows whether it has words
in it. What has not been played yet waits, and goes on from there or is dropped.

Pipecat plays the bot's speech from one queue, and tells each word at its time by the pipeline's
clock. So the queue is held where sound is written to the transport, and the clock stands still as
long: no word is told that was not played. Nor is one while a stalled process sends no sound.
"""

import asyncio
import re
from bisect import bisect_right
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from pipecat.clocks.system_clock import SystemClock
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    InterruptionFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    OutputAudioRawFrame,
    TTSSpeakFrame,
    TTSTextFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.transports.base_output import BaseOutputTransport

from sonora_app.turns.alike import are_alike
from sonora_app.turns.own_voice import OwnVoice
from sonora_app.turns.replies.grammar import words_of

_SENTENCE = re.compile(r"[^.?!…]+[.?!…]*")

_CLOSING_WORDS = 3
"""With this many words left the bot is about to end: what is said now may answer it. People answer
before the last word is over."""

_OPENING_WORDS = 3
"""Of a question of which no more words were heard nobody knows yet what it asks."""

_ECHO_WORDS = 12
"""The bot's own voice comes back before it has said so many words more: some four seconds."""

_SURE_WORDS = 3
"""So many words in a row that the bot has just said tell for sure that its own voice comes back."""

_NS = 1_000_000_000

_OVERDUE_NS = 150_000_000
"""After so long a piece of sound that is being sent is late, in nanoseconds. It holds 40 ms, and
the lateness of a packet is made up for as far as 100 ms (`runtime/pace.py`)."""

_BETWEEN_SECS = 0.1
"""A process that runs begins to send the next piece sooner than this, if there is one."""


class SpeechClock(SystemClock):
    """The pipeline's clock, which stands still while the bot's speech is held back or is late."""

    def __init__(self) -> None:
        """Create a clock that is not started yet."""
        super().__init__()
        self._stood_ns = 0
        self._stands_at: int | None = None
        self._sent_by: int | None = None  # when what is being sent is late
        self._between: asyncio.TimerHandle | None = None

    def get_time(self) -> int:
        """The time since the start without what it stood still for, in nanoseconds."""
        now = self._until_late() if self._stands_at is None else self._stands_at
        return now - self._stood_ns

    def stand(self) -> None:
        """Stand still from now on."""
        if self._stands_at is None:
            self._stands_at = self._until_late()

    def go_on(self) -> None:
        """Go on from where it stands."""
        if self._stands_at is not None:
            now = super().get_time()
            self._stood_ns += now - self._stands_at
            self._stands_at = None
            self._sent_by = None if self._sent_by is None else now + _OVERDUE_NS

    @contextmanager
    def sending(self) -> Generator[None]:
        """Stand still where it takes too long to send a piece of sound, or to begin the next."""
        self._send()
        try:
            yield
        finally:
            self._send()
            self._between = asyncio.get_running_loop().call_later(_BETWEEN_SECS, self._sent)

    def _send(self) -> None:
        self._sent()
        self._sent_by = super().get_time() + _OVERDUE_NS

    def _sent(self) -> None:
        """Leave out how long it was late. After a stall this may be what runs first."""
        if self._between is not None:
            self._between.cancel()
            self._between = None
        if self._stands_at is None:
            self._stood_ns += super().get_time() - self._until_late()
        self._sent_by = None

    def _until_late(self) -> int:
        now = super().get_time()
        return now if self._sent_by is None else min(now, self._sent_by)


class BotSpeech(BaseObserver):
    """The bot's speech in one call.

    Attributes:
        clock: The pipeline's clock.
        own_voice: Tells by sound whether a voice is the bot's own.
        hears_itself: Whether words have told in this call that the bot's own voice comes back.
        cut_off: Whether it was cut off, when it spoke last.
    """

    def __init__(self) -> None:
        """The bot has said nothing yet."""
        super().__init__(observe_every_push=False)
        self.clock = SpeechClock()
        self.own_voice = OwnVoice()
        self.hears_itself = self.cut_off = False
        self._sure = False  # whether so many words have told it that nobody repeats them
        self._flows = asyncio.Event()
        self._flows.set()
        self._cuts = 0
        self._text = ""
        # When each word is heard, by the clock, in order; empty for a voice that does not tell.
        self._heard_at: list[int] = []
        self._over = True

    # --- Holding it back

    @property
    def held(self) -> bool:
        """Whether it is held back now."""
        return not self._flows.is_set()

    def hold(self) -> None:
        """Hold back what was not played yet."""
        self._flows.clear()
        self.clock.stand()

    def go_on(self) -> None:
        """Go on from where it was held."""
        self.clock.go_on()
        self._flows.set()

    def cut(self) -> None:
        """Drop the piece of sound that is being held; Pipecat drops what waits behind it."""
        self._cuts += 1

    def hold_at(self, output: BaseOutputTransport) -> None:
        """Have the sound held where it is written to a transport."""
        write = output.write_audio_frame

        async def write_unless_held(frame: OutputAudioRawFrame) -> bool:
            cuts = self._cuts
            await self._flows.wait()
            if cuts != self._cuts and frame.interruptible:
                return False
            self.own_voice.play(frame.audio, frame.sample_rate)
            with self.clock.sending():
                return await write(frame)

        output.write_audio_frame = write_unless_held

    async def reached(self, pts: int) -> None:
        """Wait until the clock shows a time, in nanoseconds, and goes on from there."""
        await self._flows.wait()
        while (left := pts - self.clock.get_time()) > 0:
            await self._flows.wait()
            await asyncio.sleep(left / _NS)

    # --- What it is

    async def on_push_frame(self, data: FramePushed) -> None:
        """Follow what the bot is to say, and what was heard of it."""
        match data.frame:
            case LLMFullResponseStartFrame():
                self._begin()
            case LLMTextFrame(text=text):
                self._text += text
            case TTSSpeakFrame(text=text):
                self._begin()
                self._text += f" {text} "
            case TTSTextFrame(text=text, pts=pts) if pts:
                self._heard_at += [pts] * len(text.split())
            case BotStartedSpeakingFrame():
                self._over = self.cut_off = False
            case BotStoppedSpeakingFrame():
                self._over = True
            case InterruptionFrame():
                self._cut()
            case _:
                pass

    def _begin(self) -> None:
        if self._over:
            self._text = ""
            self._heard_at.clear()

    def _cut(self) -> None:
        """What was not heard until now is not said any more, but for the rest of the sentence."""
        self._text = self.asked()
        if heard := self._heard_words():
            del self._heard_at[heard:]
        self.cut_off, self._over = self.cut_off or not self._over, True

    def asked(self) -> str:
        """What was said up to the end of the sentence that is being said, or was said last."""
        whole: list[str] = []
        words, heard = 0, self._heard_words()
        for sentence in _SENTENCE.findall(self._text):
            whole.append(sentence)
            words += len(sentence.split())
            if heard is not None and words >= heard:
                break
        return "".join(whole).strip()

    @property
    def asks(self) -> bool:
        """Whether what is being said may be answered: it is a question, or about to end."""
        heard = self._heard_words()
        left = 0 if heard is None else len(self._text.split()) - heard
        return self.asked().endswith("?") or (heard is not None and left <= _CLOSING_WORDS)

    @property
    def has_asked(self) -> bool:
        """Whether so much of a question was heard that it may be answered."""
        heard = self._heard_words()
        return heard is not None and heard > _OPENING_WORDS and self.asked().endswith("?")

    def echoes(self, text: str, within_words: int = _ECHO_WORDS) -> bool:
        """Whether words are nothing but what the bot has just said: its own voice comes back.

        Args:
            text: The words.
            within_words: How many more the bot has said since, at most.
        """
        words = words_of(text)
        said = self._just_said(within_words + len(words))
        places = range(len(said) - len(words) + 1)
        return bool(words) and any(said[at : at + len(words)] == words for at in places)

    def sounds_like(self, text: str, *, begun: bool = False) -> bool:
        """Whether words may be what the bot has just said, heard badly.

        Args:
            text: The words.
            begun: Whether more of them may come.
        """
        words = words_of(text)
        return are_alike(words, self._just_said(_ECHO_WORDS + len(words)), begun=begun)

    @property
    def comes_back(self) -> bool:
        """Whether the bot's own voice has come back in this call, by words or by sound."""
        return self.hears_itself or self.own_voice.found

    @property
    def only_words_tell(self) -> bool:
        """Whether it comes back so that its sound does not tell whose it is."""
        return self.hears_itself and not self.own_voice.found

    @property
    def surely_comes_back(self) -> bool:
        """Whether that is sure: a word or two may have been the user's, who takes them up."""
        return self._sure or self.own_voice.found

    def has_heard_itself(self, text: str) -> None:
        """Note words that were the bot's own, and came back."""
        self.hears_itself = True
        self._sure = self._sure or len(text.split()) >= _SURE_WORDS

    @property
    def speaks(self) -> bool:
        """Whether it has begun and is not over, though it may be held back."""
        return not self._over

    def own_words(self, words: Sequence[str]) -> int:
        """How many words, from the first on, are what the bot has just said.

        Args:
            words: The words, as `words_of` gives them.
        """
        own = 0
        while own < len(words) and self.echoes(" ".join(words[: own + 1])):
            own += 1
        return own

    def _just_said(self, count: int) -> tuple[str, ...]:
        """The last words that were begun."""
        return words_of(" ".join(self._text.split()[: self._heard_words()][-count:]))

    def _heard_words(self) -> int | None:
        """How many words were begun; None where the voice does not tell."""
        if not self._heard_at:
            return None
        return bisect_right(self._heard_at, self.clock.get_time())
