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
        self._seen = 0

    def expect(self, words: Sequence[tuple[str, float]]) -> None:
        """Hear this in the speech that comes next.

        Args:
            words: Its words, each with the seconds from the first sound to the word's end.
        """
        self._words = deque(words)
        self._seen = len(self.log.entries)
        self._tell_the_rest()

    async def recognise(self, stretch: Stretch) -> str:
        """The words that are over by now and have not been told yet."""
        elapsed = time.monotonic() - self._began_at() + _SLACK_SECS
        told: list[str] = []
        while self._words and self._words[0][1] <= elapsed:
            told.append(self._words.popleft()[0])
        self._tell_the_rest()
        return f"{' '.join(told).rstrip(_PUNCTUATION)}." if told else ""

    def _began_at(self) -> float:
        """When the first sound of the utterance came in."""
        begun = (e for e in self.log.entries[self._seen :] if e.what == "speech")
        return next((entry.at_secs for entry in begun), time.monotonic())

    def _tell_the_rest(self) -> None:
        # Interim results are made from what is coming.
        self.hears.clear()
        if self._words:
            self.hears.append(" ".join(word for word, _ in self._words))
