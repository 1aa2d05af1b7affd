"""A bot's voice that speaks, and a Deepgram that hears it as well, out of a loudspeaker.

What comes back of the bot's words is heard late, and may be heard badly. Where the user speaks over
it, only the user is heard.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
import soxr  # pyright: ignore[reportMissingTypeStubs]

from simulators.clients.rtvi import RtviClient
from simulators.clients.speech import speech
from simulators.clients.webrtc import MIC_RATE
from simulators.vendors.cartesia import CartesiaVendor
from simulators.vendors.deepgram import DeepgramVendor, Stretch

_UNASKED_SECS = 0.35
"""The silence after which a final result is told unasked, in seconds."""

_LETTER_SECS = 0.06
"""How long each letter of the bot's words takes, in seconds, about."""

_SLACK_SECS = 0.03
"""How much earlier than by its time a word may be over, in seconds."""


class SpeakingCartesia(CartesiaVendor):
    """A voice by espeak-ng, word by word."""

    async def sound(self, word: str, rate: int) -> np.ndarray:
        """A word as it sounds, as 16-bit samples, `rate` a second."""
        samples = await speech(word)
        return np.asarray(soxr.resample(samples, MIC_RATE, rate)).astype(np.int16)


@dataclass(frozen=True, order=True)
class _Word:
    begins: float
    ends: float
    text: str


class OverhearingDeepgram(DeepgramVendor):
    """Deepgram, in one call, which hears what the user and the bot say when they do.

    Args:
        key: What a client has to show.
    """

    def __init__(self, key: str) -> None:
        """Create a recogniser that has heard nothing yet."""
        super().__init__(key)
        self.endpointing_secs = _UNASKED_SECS
        # The words that are not told yet, by the time, and those that were told last.
        self._words: list[_Word] = []
        self._told: list[_Word] = []
        self._user_until = 0.0

    def user_says(self, words: Sequence[tuple[str, float]]) -> None:
        """Hear the user, from now on.

        Args:
            words: The words, each with the seconds from now to its end.
        """
        now, begins = time.monotonic(), 0.0
        self._words = [word for word in self._words if word.ends <= now]
        for text, ends in words:
            self._words.append(_Word(now + begins, now + ends, text))
            begins = ends
        self._user_until = now + begins

    @asynccontextmanager
    async def overhearing(
        self, page: RtviClient, *, later_secs: float, heard_as: Mapping[str, str]
    ) -> AsyncGenerator[None]:
        """Hear the bot as well, as long as the block lasts.

        Args:
            page: What plays the bot's words, and is told of each as it does.
            later_secs: How much later they come back.
            heard_as: What is heard in place of a word; nothing if that is empty.
        """

        async def overhear() -> None:
            after = 0
            while True:
                told = await page.wait_for(
                    lambda each: each["type"] == "bot-tts-text", after=after, timeout_secs=60
                )
                after = page.messages.index(told) + 1
                begins = told["received_at"] + later_secs
                said = told["data"]["text"].strip()
                text = heard_as.get(said, said)
                if text and begins > self._user_until:
                    self._words.append(_Word(begins, begins + len(said) * _LETTER_SECS, text))

        hearing = asyncio.create_task(overhear())
        try:
            yield
        finally:
            hearing.cancel()

    def listen(self, loudness: float) -> None:
        """Interim results are made from what has begun by now."""
        self.hears.clear()
        now = time.monotonic()
        if begun := [word.text for word in sorted(self._words) if word.begins <= now]:
            self.hears.append(" ".join(begun))

    async def recognise(self, stretch: Stretch) -> str:
        """The words that are over by now and have not been told yet."""
        return self.left_over()

    def left_over(self) -> str:
        """The same: a word may end more softly than what counts as speech."""
        now = time.monotonic() + _SLACK_SECS
        self._told = sorted(word for word in self._words if word.ends <= now)
        self._words = [word for word in self._words if word.ends > now]
        self.hears.clear()
        return " ".join(word.text for word in self._told)

    def timed(self, text: str, heard_secs: float) -> Sequence[tuple[str, float, float]]:
        """The words of a text, each with where it begins and ends in the sound, in seconds."""
        began = time.monotonic() - heard_secs
        for words in (self._told, sorted(self._words)):
            heard = [(part, word) for word in words for part in word.text.split()]
            heard = heard[: len(text.split())]
            if text and " ".join(part for part, _ in heard) == text:
                return [(part, word.begins - began, word.ends - began) for part, word in heard]
        return ()
