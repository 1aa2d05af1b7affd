"""A recogniser that knows when each word of what is being said is over.

So it can be asked for a transcript at any moment, as often as a bot likes, in the middle of a
sentence too, and hears what a real one would: the words up to there that it has not told yet. A
real one guesses where sentences end, mostly at a full stop where it is asked; so does this one, and
its punctuation tells nothing of whether more is to come.
"""

import time
from collections import deque
from collections.abc import Sequence

from tests.vendors.deepgram import DeepgramVendor, Stretch

FIRM = 900.0
"""Root mean square, of 16-bit samples, of sound that no codec and no jitter buffer makes doubtful,
unlike the soft beginning of many words."""

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
        self._firm_secs = 0.0
        self._firm_at: float | None = None

    def expect(self, words: Sequence[tuple[str, float]], firm_secs: float) -> None:
        """Hear this in the speech that comes next.

        Args:
            words: Its words, each with the seconds from its beginning to the word's end.
            firm_secs: From its beginning to its first sound that is louder than `FIRM`.
        """
        self._words = deque(words)
        self._firm_secs, self._firm_at = firm_secs, None
        self._tell_the_rest()

    def listen(self, loudness: float) -> None:
        """Know by the first firm sound where in the utterance it is."""
        if self._firm_at is None and loudness > FIRM:
            self._firm_at = time.monotonic()

    async def recognise(self, stretch: Stretch) -> str:
        """The words that are over by now and have not been told yet."""
        return self.left_over()

    def left_over(self) -> str:
        """The same: a word may end more softly than what counts as speech."""
        if self._firm_at is None:
            return ""
        elapsed = time.monotonic() - self._firm_at + self._firm_secs + _SLACK_SECS
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
