"""Tells from the last words of a transcript whether the user is likely to say more.

Smart-turn judges by the sound alone. The words are a second witness: a speaker who stops after an
article, a preposition, a conjunction or a filler has not finished. The YAML files beside this
module list such words for each language. They are grammar, not meaning: most sentences could end
long before they do, and no list can tell.

The recogniser guesses the punctuation. Deepgram puts a full stop wherever it is told to finalize,
so a full stop means nothing. A comma or an ellipsis is a guess that more will come. A question mark
is a guess that nothing will (“What is it for?”).
"""

import re
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from pathlib import Path

import yaml

from sonora_app.settings import Language

_FOLDER = Path(__file__).parent
_LONGEST = 3
"""The most words that an entry of the lists has."""

_WORD = re.compile(r"\w+(?:['’-]\w+)*")
_GOING_ON = re.compile(r"(?:,|:|…|\.\.\.)$")
_ASKED = re.compile(r"[?!]$")


class Ending(Enum):
    """How a transcript ends."""

    WHOLE = auto()
    """The user may have said everything."""

    NUMBER = auto()
    """In a number or a spelt word. More of it may come, because people dictate with pauses."""

    OPEN = auto()
    """In the middle of a sentence."""


@dataclass(frozen=True)
class _Lists:
    """The words of a language."""

    open: frozenset[str]
    fillers: frozenset[str]
    numbers: frozenset[str]


class Endings:
    """How transcripts of one language end.

    Args:
        language: What is spoken.
    """

    def __init__(self, language: Language) -> None:
        """Read the language's file, once per process."""
        self._lists = _read(language)

    def of(self, text: str) -> Ending:
        """Tell how a transcript ends.

        A single word is taken for an answer (“Una.”, “Para.”) unless it is a filler. A letter is
        one of a word that is spelt where it stands alone or after another (“G A R”); else it may
        be a word (“uno o”), or a name (“el plan B”).

        Args:
            text: What was recognised so far of the user's turn.
        """
        text = text.strip()
        words = [word.replace("’", "'") for word in _WORD.findall(text.lower())]
        if not words or _ASKED.search(text):
            return Ending.WHOLE
        last = [" ".join(words[-count:]) for count in range(1, min(_LONGEST, len(words)) + 1)]
        if _GOING_ON.search(text) or not self._lists.fillers.isdisjoint(last):
            return Ending.OPEN
        if last[0] in self._lists.numbers or last[0][-1].isdigit():
            return Ending.NUMBER
        if all(len(word) == 1 for word in words[-2:]):
            return Ending.NUMBER
        if len(words) > 1 and not self._lists.open.isdisjoint(last):
            return Ending.OPEN
        return Ending.WHOLE


@cache
def _read(language: Language) -> _Lists:
    kinds: dict[str, dict[str, str]] = yaml.safe_load(
        (_FOLDER / f"{language}.yaml").read_text(encoding="utf-8")
    )
    return _Lists(
        **{
            kind: frozenset(entry for listed in groups.values() for entry in listed.split(", "))
            for kind, groups in kinds.items()
        }
    )
