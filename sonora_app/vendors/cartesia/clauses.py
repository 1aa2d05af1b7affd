"""Sends the voice the first words of an answer as soon as they exist, not the first sentence.

The voice can begin “Claro, Oaxaca en abril es muy bonita.” with its first word; the rest arrives
while that word is spoken. Only the beginning of an answer is cut: at the first punctuation mark, or
after `OPENING_WORDS` words without one. Cartesia gets both pieces as parts of one utterance, so its
intonation runs on across the cut.
"""

from collections.abc import AsyncIterator
from typing import Any

from pipecat.utils.text.base_text_aggregator import Aggregation
from pipecat.utils.text.skip_tags_aggregator import SkipTagsAggregator

_MARKS = frozenset(",;:—")
"""What ends a clause, after a letter: not in "1,500" or "10:30"."""

OPENING_WORDS = 3
"""How many words are enough to begin with, without a mark: about a second of speech, in which a
model tells the rest of the sentence."""


class ClauseAggregator(SkipTagsAggregator):
    """Pipecat's sentences, the first of each answer cut at the end of its first clause or words."""

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401  # Pipecat's signature
        """Create the aggregator."""
        super().__init__([("<spell>", "</spell>")], **kwargs)
        self._begun = False

    async def aggregate(self, text: str) -> AsyncIterator[Aggregation]:
        """Add text, and give what can be spoken of it."""
        for char in text:
            async for sentence in super().aggregate(char):
                self._begun = True
                yield sentence
            if self._ends_first_piece(char):
                self._begun = True
                clause = self.text
                await super().reset()
                yield clause

    async def flush(self) -> Aggregation | None:
        """Give what is left at the end of an answer."""
        rest = await super().flush()
        self._begun = False
        return rest

    async def handle_interruption(self) -> None:
        """Forget the answer."""
        await super().handle_interruption()
        self._begun = False

    def _ends_first_piece(self, char: str) -> bool:
        if self._begun:
            return False
        text = self.text.text
        if text.count("<spell>") > text.count("</spell>"):
            return False
        before = text.removesuffix(char).rstrip()
        if not before or not before[-1].isalpha():
            return False
        return char in _MARKS or (char == " " and len(before.split()) >= OPENING_WORDS)
