"""Cuts a text into the words that a voice speaks, while it speaks them."""

import re
from bisect import bisect_right


class WordSlicer:
    """Turns "the voice is at this character now" into words and their moments.

    A synthesiser says where in the text a word begins; it says so several times for a number,
    and not at all for a lone dash. So a word is taken to run from the beginning of the
    space-separated token that is spoken to the beginning of the next one that is: the words,
    joined with spaces, are the text, and each carries the punctuation around it.

    Args:
        text: The text.
        read: The same as it is given to the synthesiser, whose positions are of it. It has as many
            tokens. None: as it is.
    """

    def __init__(self, text: str, read: str | None = None) -> None:
        """Start before the first word."""
        self._text = text
        self._starts = _token_starts(text)
        self._read_starts = _token_starts(text if read is None else read)
        self._token = -1
        self._from = 0
        self._secs = 0.0

    def begin(self, position: int, secs: float) -> list[tuple[str, float]]:
        """The character at `position` (counted from 0) is spoken from `secs` on.

        Returns:
            The word that this ends, if it ends one, with the second at which it began.
        """
        token = max(bisect_right(self._read_starts, position) - 1, 0)
        if token <= self._token:
            return []
        # What stands before the first spoken token belongs to it, hence no word yet.
        ended = [] if self._token < 0 else self._cut(self._starts[token])
        self._token, self._secs = token, secs
        return ended

    def end(self) -> list[tuple[str, float]]:
        """The voice has finished.

        Returns:
            What is left of the text, as one word, with the second at which it began.
        """
        return self._cut(len(self._text))

    def _cut(self, stop: int) -> list[tuple[str, float]]:
        word = self._text[self._from : stop].strip()
        self._from = stop
        return [(word, self._secs)] if word else []


def _token_starts(text: str) -> list[int]:
    return [token.start() for token in re.finditer(r"\S+", text)]
