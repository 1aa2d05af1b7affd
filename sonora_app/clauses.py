"""Gives the voice the first clause of an answer, rather than the first sentence.

"Claro, Oaxaca en abril es muy bonita." can be begun at its first word; the rest arrives while
that is being spoken. Only the first piece of an answer is cut short, and only where the writer
put a mark: Cartesia is sent both pieces as one utterance to be continued, and speaks on across
the mark in one intonation.
"""

from collections.abc import AsyncIterator
from typing import Any

from pipecat.utils.text.base_text_aggregator import Aggregation, TextType
from pipecat.utils.text.skip_tags_aggregator import SkipTagsAggregator

_MARKS = frozenset(",;:—")
"""What ends a clause, after a letter: not in "1,500" or "10:30"."""


class ClauseAggregator(SkipTagsAggregator):
    """Pipecat's sentences, the first of each answer cut at the end of its first clause."""

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
            if self._ends_first_clause(char):
                self._begun = True
                clause = self._text.strip(" ")
                await super().reset()
                yield Aggregation(text=clause, type=TextType.SENTENCE)

    async def flush(self) -> Aggregation | None:
        """Give what is left at the end of an answer."""
        rest = await super().flush()
        self._begun = False
        return rest

    async def handle_interruption(self) -> None:
        """Forget the answer."""
        await super().handle_interruption()
        self._begun = False

    def _ends_first_clause(self, char: str) -> bool:
        if self._begun or char not in _MARKS or self._current_tag is not None:
            return False
        before = self._text[:-1].rstrip()
        return bool(before) and before[-1].isalpha()
