"""Tells from what the bot has just asked what kind of answer comes, and how far it has come.

The YAML files beside this module list what questions ask for, in each language. So the
bot's own words tell what is expected. Where they tell nothing, a turn ends as it sounds.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from sonora_app.settings import Language
from sonora_app.turns.endings.grammar import Ending, Endings
from sonora_app.turns.replies.grammar import Replies

_FOLDER = Path(__file__).parent

_SENTENCE = re.compile(r"[^.?!…]+[.?!…]*")
_WORD = re.compile(r"\w+(?:['’]\w+)*")

_LONG_CODE = 4
"""A number of which nobody said how long it is has at least this many digits: it is one that is
dictated, as of a telephone or a card."""

_ABROAD = re.compile(r"\s*(?:\+|00|(?:más|plus|cero,? cero)\b)", re.IGNORECASE)
_TELEPHONE = 9
"""A number of so many digits or more is a telephone's. Said with the prefix of a country it has
more of them than it was asked for with."""

_STORY_WORDS = 12
"""A story has at least as many words."""


class Asked(Enum):
    """What a question asks for."""

    NOTHING = auto()
    ANYTHING = auto()
    YES_OR_NO = auto()
    SPELLING = auto()
    NUMBER = auto()
    ADDRESS = auto()
    LIST = auto()
    STORY = auto()


@dataclass(frozen=True)
class Expectation:
    """What kind of answer comes.

    Parameters:
        asked: What was asked for.
        digits: How many digits a number has; None: nobody said.
        lettered: Whether a letter comes behind them.
    """

    asked: Asked = Asked.NOTHING
    digits: int | None = None
    lettered: bool = False


NOTHING = Expectation()


@dataclass(frozen=True)
class _Lists:
    """The words of a language. Each entry has a space on both sides."""

    question_words: tuple[str, ...]
    yet_yes_or_no: tuple[str, ...]
    alternatives: tuple[str, ...]
    yet_no_alternatives: tuple[str, ...]
    requests: tuple[str, ...]
    asks: dict[Asked, tuple[str, ...]]
    digit_words: tuple[str, ...]
    counts: dict[str, int]
    lengths: dict[str, int]
    lettered: tuple[str, ...]
    announcing: tuple[str, ...]
    corrections: tuple[str, ...]


class Expectations:
    """What the bot's questions ask for, in one language.

    Args:
        language: What is spoken.
        asked: Gives what the bot has said last.
    """

    def __init__(self, language: Language, asked: Callable[[], str] = str) -> None:
        """Read the language's file, once per process."""
        self._lists = _read(language)
        self._asked = asked
        self._endings = Endings(language)
        self._replies = Replies(language)
        self._known = ("", NOTHING)

    @property
    def now(self) -> Expectation:
        """What is expected of who speaks now."""
        asked = self._asked()
        if asked != self._known[0]:
            self._known = asked, self.of(asked)
        return self._known[1]

    def of(self, asked: str) -> Expectation:
        """Tell what the bot's words ask for: their last sentence, else the one before."""
        for sentence in reversed(_SENTENCE.findall(asked)[-2:]):
            expectation = self._of_sentence(sentence.strip())
            if expectation != NOTHING or sentence.strip().endswith("?"):
                return expectation
        return NOTHING

    def ending(self, text: str) -> Ending:
        """Tell how a transcript ends, as an answer to what was asked.

        Args:
            text: What was recognised so far of the user's turn.
        """
        ending = self._endings.of(text)
        expected = self.now
        match expected.asked:
            case Asked.NOTHING if self._asks():
                return ending
            case Asked.NOTHING | Asked.ANYTHING:
                return self._of_nothing(text, ending)
            case Asked.YES_OR_NO:
                return Ending.ANSWERED if self._replies.answers(text) else ending
            case Asked.NUMBER:
                return self._of_number(text, ending, expected)
            case _ if ending is Ending.OPEN or not text:
                return ending
            case _ if self._replies.answers(text):
                return Ending.DICTATED  # “Sí, claro”, and then it comes
            case Asked.SPELLING:
                return Ending.DICTATED if ending is Ending.NUMBER else ending
            case Asked.ADDRESS:
                return ending if any(map(str.isdigit, text)) else _longer(ending)
            case Asked.LIST:
                return ending if self._endings.ends_list(text) else _longer(ending)
            case Asked.STORY:
                return _longer(ending) if len(text.split()) < _STORY_WORDS else ending

    def gist(self, text: str, *, begun: bool = False) -> str:
        """What a transcript comes to: an answer to yes or no is the same with a “please”.

        Args:
            text: What was recognised so far of the user's turn.
            begun: Whether more may come: then the “please” may also be unfinished.
        """
        gist = self._replies.gist(text, begun=begun)
        return gist if self._answers(gist) else text

    def _answers(self, text: str) -> bool:
        return self.now.asked is Asked.YES_OR_NO and self._replies.answers(text)

    def _asks(self) -> bool:
        return any("?" in sentence for sentence in _SENTENCE.findall(self._asked())[-2:])

    def _of_nothing(self, text: str, ending: Ending) -> Ending:
        """What answers a question by itself is hardly a turn, or a short one, where none was.

        To be offered help is the same as to be asked nothing.
        """
        if ending is not Ending.WHOLE or self._endings.is_request(text):
            return ending
        if self._endings.only_begins(text):
            return Ending.BEGUN
        return Ending.BRIEF if self._endings.is_brief(text) else ending

    def _of_number(self, text: str, ending: Ending, expected: Expectation) -> Ending:
        said, digits = self._endings.digits(text), expected.digits
        if not said:
            announced = self._announces(text)
            return Ending.DICTATED if announced or self._replies.answers(text) else ending
        if digits is None:
            return _longer(ending) if said < _LONG_CODE else ending
        if said < digits:
            return Ending.OPEN if ending in _IN_NUMBER else _longer(ending)
        over = self._counts(text, digits) and ending is not Ending.OPEN
        if over and expected.lettered:
            over = self._endings.ends_in_letter(text)
        return Ending.ANSWERED if over else ending

    def _announces(self, text: str) -> bool:
        """Whether a number is still to come: “el código es”, but not “no sé cuál es”."""
        words = _words(text)
        announces = _has(f" {' '.join(words[-1:])} ", self._lists.announcing)
        return announces and not _has(f" {' '.join(words)} ", self._lists.question_words)

    def _counts(self, text: str, digits: int) -> bool:
        """Whether the digits that were said may be counted: all of them are of the number."""
        if digits >= _TELEPHONE and _ABROAD.match(text):
            return False
        words = _words(text)
        first = next(at for at, word in enumerate(words) if self._endings.digits(word))
        return not _has(f" {' '.join(words[first:])} ", self._lists.corrections)

    def _of_sentence(self, sentence: str) -> Expectation:
        words = _words(sentence)
        said = f" {' '.join(words)} "
        lists = self._lists
        is_question = sentence.endswith("?")
        requests = _has(said, lists.requests)
        kinds = (kind for kind, entries in lists.asks.items() if _has(said, entries))
        digits = self._digits_asked(words)
        asked = Asked.NUMBER if digits else next(kinds, Asked.NOTHING)
        wants = _has(said, lists.question_words) and not _has(said, lists.yet_yes_or_no)
        offers = _has(said, lists.alternatives) and not _has(said, lists.yet_no_alternatives)
        told = is_question and (wants or requests)
        if asked is not Asked.NOTHING and (told or (not is_question and requests) or _tells(asked)):
            if asked is Asked.NUMBER:
                known = (n for entry, n in lists.lengths.items() if entry in said)
                digits = digits or next(known, None)
            return Expectation(asked, digits, lettered=_has(said, lists.lettered))
        if is_question and not wants and not offers:
            return Expectation(Asked.YES_OR_NO)
        return NOTHING

    def _digits_asked(self, words: Sequence[str]) -> int | None:
        for before, word in pairwise(words):
            if f" {word} " in self._lists.digit_words:
                count = self._lists.counts.get(before)
                return int(before) if before.isdigit() else count
        return None


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _has(said: str, entries: tuple[str, ...]) -> bool:
    return any(entry in said for entry in entries)


def _tells(asked: Asked) -> bool:
    """Whether words that ask for this are a request by themselves (“deletréalo”)."""
    return asked in (Asked.SPELLING, Asked.STORY)


_IN_NUMBER = (Ending.NUMBER, Ending.DICTATED)


def _longer(ending: Ending) -> Ending:
    return Ending.DICTATED if ending in (Ending.WHOLE, Ending.NUMBER) else ending


@cache
def _read(language: Language) -> _Lists:
    parts: dict[str, Any] = yaml.safe_load(
        (_FOLDER / f"{language}.yaml").read_text(encoding="utf-8")
    )

    def entries(listed: str) -> tuple[str, ...]:
        return tuple(f" {entry.strip()} " for entry in listed.split(","))

    asks = {Asked[kind.upper()]: entries(listed) for kind, listed in parts.pop("asks").items()}
    counts = parts.pop("counts")
    lengths = {f" {entry} ": digits for entry, digits in parts.pop("lengths").items()}
    listed = {kind: entries(words) for kind, words in parts.items()}
    return _Lists(asks=asks, counts=counts, lengths=lengths, **listed)
