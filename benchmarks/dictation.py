"""A recogniser that knows when each word of what is being said is over.

So it can be asked for a transcript at any moment, as often as a bot likes, in the middle of a
sentence too, and hears what a real one would: the words up to there that it has not told yet. A
real one guesses where sentences end, mostly at a full stop where it is asked; so does this one, and
its punctuation tells nothing of whether more is to come.
"""

import time
from collections import deque
from collections.abc import Sequence

import numpy as np

from simulators.clients.webrtc import FRAME_SECS
from simulators.vendors.deepgram import DeepgramVendor, Stretch

_SLACK_SECS = 0.03
"""How much earlier than by its words' times a stretch may seem to end, by jitter on the way."""

_ENDPOINTING_SECS = 0.35
"""Silence after which it tells a final result unasked. Deepgram's default is 10 ms of what it
takes for silence; here it is more than the bots take to ask, so that they are always in time."""

_PUNCTUATION = ".,;:…"


class DictatedDeepgram(DeepgramVendor):
    """Deepgram, hearing one utterance at a time.

    Args:
        key: What a client has to show.
    """

    def __init__(self, key: str) -> None:
        """Create a recogniser that expects nothing yet."""
        super().__init__(key)
        self.endpointing_secs = _ENDPOINTING_SECS
        self._words: deque[tuple[str, float]] = deque()
        self._expected = np.zeros(0)
        self._heard: list[tuple[float, float]] = []

    def expect(self, words: Sequence[tuple[str, float]], loudness: np.ndarray) -> None:
        """Hear this in the speech that comes next.

        Args:
            words: Its words, each with the seconds from its beginning to the word's end.
            loudness: How loud it is, in steps of `FRAME_SECS`.
        """
        self._words, self._expected = deque(words), loudness
        self._heard.clear()
        self._tell_the_rest()

    def listen(self, loudness: float) -> None:
        """Remember how loud it was when."""
        self._heard.append((time.monotonic(), loudness))

    async def recognise(self, stretch: Stretch) -> str:
        """The words that are over by now and have not been told yet."""
        return self.left_over()

    def left_over(self) -> str:
        """The same: a word may end more softly than what counts as speech."""
        elapsed = heard_secs(self._heard, self._expected) + _SLACK_SECS
        told: list[str] = []
        while self._words and self._words[0][1] <= elapsed:
            told.append(self._words.popleft()[0])
        self._tell_the_rest()
        return f"{' '.join(told).rstrip(_PUNCTUATION)}." if told else ""

    def _tell_the_rest(self) -> None:
        # Interim results are made from what is coming.
        self.hears.clear()
        if self._words:
            self.hears.append(" ".join(word for word, _ in self._words))


def heard_secs(heard: Sequence[tuple[float, float]], expected: np.ndarray) -> float:
    """How much of an utterance has been heard.

    Args:
        heard: The moments at which a step of sound came in, in seconds, with its loudness. Some may
            be lost, and some late.
        expected: The utterance's loudness, step by step.
    """
    if not heard:
        return 0.0
    moments, loud = np.array(heard).T
    places = np.rint((moments - moments[0]) / FRAME_SECS).astype(int)
    steps = np.zeros(places[-1] + 1)
    np.maximum.at(steps, places, loud)

    def alike(start: int) -> float:
        """How alike the two are, as a cosine, if the utterance began at this step."""
        there = expected[: len(steps) - start]
        length = float(np.linalg.norm(there))
        return float(steps[start : start + len(there)] @ there) / length if length else 0.0

    return (len(steps) - max(range(len(steps)), key=alike)) * FRAME_SECS
