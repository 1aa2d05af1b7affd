"""Tells which of its languages a person speaks, by what the recogniser says of their words.

What they type is recognised by nobody: its language is told by the common words in it, which the
YAML files in `common_words/` list.

One word proves nothing: "ok", "no", "hotel" and names are of both languages. So a person has
changed once they have said `ENOUGH_WORDS` different words in the other language, and more than in
the present one, in one turn or in two that follow each other.
"""

import re
from functools import cache
from pathlib import Path

import yaml

from sonora_app.settings import Language
from sonora_app.turns.replies.grammar import words_of

ENOUGH_WORDS = 3

_FOLDER = Path(__file__).parent / "common_words"

_COMMON_WORDS = 2
"""A text has at least so many different common words of its language: one may be part of a name."""

_WORD = re.compile(r"[^\W\d_][\w'’]*|[.!?…]")
_SENTENCE_ENDS = frozenset(".!?…")

_Said = dict[Language, set[str]]
"""The different words of a turn, by their language."""


class SpokenLanguage:
    """The language of one call, as far as it is heard.

    Args:
        language: What is spoken at first.
    """

    def __init__(self, language: Language) -> None:
        """Have heard nothing yet."""
        self.language = language
        # Of the present turn, the one before, and the one before that.
        self._said: _Said = {}
        self._before: _Said = {}
        self._earlier: _Said = {}

    def heard(self, text: str, code: str | None, *, guessed: bool = False) -> bool:
        """Take in a piece of the present turn.

        Args:
            text: What was recognised.
            code: The language most of it is in, as `en` or `en-US`; None where it is not known.
            guessed: Whether the whole turn so far comes once more.

        Returns:
            Whether the person has changed to the other language, which is then `language`.
        """
        of = (code or "").split("-")[0].lower()
        if of not in set(Language):
            return False
        said = {each: {*words} for each, words in self._said.items()}
        said.setdefault(Language(of), set()).update(telling_words(text))
        if not guessed:
            self._said = said
        other = next(each for each in Language if each is not self.language)
        if not self._leads(other, said):
            return False
        count = len(said[other])
        if self._leads(other, self._before):
            count = len(said[other] | self._before[other])
        if count < ENOUGH_WORDS:
            return False
        self.language = other
        return True

    def turn_ended(self) -> None:
        """The turn is over: what comes next is another one."""
        if self._said:
            self._earlier, self._before, self._said = self._before, self._said, {}

    def turn_goes_on(self) -> None:
        """The present turn goes on with the one before: they are one."""
        self._said = {
            each: self._before.get(each, set()) | self._said.get(each, set()) for each in Language
        }
        self._before, self._earlier = self._earlier, {}

    def forget_turn(self) -> None:
        """What was heard since the last turn was none."""
        self._said = {}

    def _leads(self, other: Language, said: _Said) -> bool:
        return len(said.get(other, ())) > len(said.get(self.language, ()))


def telling_words(text: str) -> set[str]:
    """The different words of a text that tell its language: no names, letters or numbers."""
    telling: set[str] = set()
    opening: str | None = None
    begins = True
    for word in _WORD.findall(text):
        if word in _SENTENCE_ENDS:
            opening, begins = None, True
            continue
        if word[0].islower() and len(word) > 1:
            telling.update({word, opening or word})
        # A capital begins a sentence or a name: a small word after it tells which.
        opening = word.lower() if begins and len(word) > 1 else None
        begins = False
    return telling


def written_in(text: str) -> Language | None:
    """The language of a text, by the common words in it; None where they tell none."""
    words = frozenset(words_of(text))
    counts = {language: len(words & _common_words(language)) for language in Language}
    likeliest = max(counts, key=counts.__getitem__)
    most = counts.pop(likeliest)
    return likeliest if most >= _COMMON_WORDS and most > max(counts.values()) else None


@cache
def _common_words(language: Language) -> frozenset[str]:
    kinds: dict[str, str] = yaml.safe_load(
        (_FOLDER / f"{language}.yaml").read_text(encoding="utf-8")
    )
    return frozenset(word for listed in kinds.values() for word in words_of(listed))
