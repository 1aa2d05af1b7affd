"""Tells whether words are what was said just before, as a recogniser hears it out of a loudspeaker.

It hears an echo badly: words are missing (“Oaxaca … playas”), or come as others that sound like
them (“o a jaca” for “Oaxaca”, “montaña” for “montañas”).
"""

from collections.abc import Sequence

_CHANGED = 0.3
"""So many of the letters, at most, as a part of all of them, are not those that were said."""

_ADDED = 2
"""A letter too many counts as so many that are wrong: else a short word that the user adds, as “no”
to “el martes”, would pass for a mistake."""

_LETTERS = 60
"""So many of the letters, the last ones, are compared: some four seconds of speech."""


def are_alike(words: Sequence[str], said: Sequence[str], *, begun: bool = False) -> bool:
    """Whether words may be some of those that were said, in the same order, heard badly.

    Args:
        words: The words, without capitals and accents.
        said: What was said, likewise.
        begun: Whether they may end amid a word, as “o a” does.
    """
    letters = "".join(words)[-_LETTERS:]
    return bool(letters) and _changes(letters, said, begun) <= _CHANGED * len(letters)


def _changes(letters: str, said: Sequence[str], begun: bool) -> int:
    """How many letters to change, add or drop to get words that were said, in their order."""
    most = len(letters)
    # After each letter: the changes so far, at the beginning of each word and after its letters.
    rows = [[0, *(most for _ in word)] for word in said]
    best = most
    for letter in letters:
        reached = most  # the fewest changes with which a word that ends before this one was reached
        best = most
        for row, word in zip(rows, said, strict=True):
            before = row[0]
            row[0] = min(before + _ADDED, reached)
            for place, each in enumerate(word):
                changed = before + (letter != each)
                before = row[place + 1]
                row[place + 1] = min(changed, before + _ADDED, row[place] + 1)
            reached = min(reached, row[-1], row[0])
            best = min(best, min(row) if begun else row[-1])
    return best
