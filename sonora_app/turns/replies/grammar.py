"""Tells whether a reply says no more than that somebody listens, or answers yes or no.

The YAML files beside this module list such replies for each language. A reply may be several of
them in a row (“sí, claro, ajá”).
"""

import re
import unicodedata
from collections.abc import Collection
from functools import cache
from itertools import islice
from pathlib import Path

import yaml

from sonora_app.settings import Language

_FOLDER = Path(__file__).parent

_MOST_WORDS = 6
"""A reply with more words than that says something."""

_WORD = re.compile(r"[\w']+")
_WRITTEN_WORD = re.compile(r"[\w'’]+")
_BETWEEN = ' ,.;:…!?)”»"-–'


class Replies:
    """The short replies of one language.

    Args:
        language: What is spoken.
    """

    def __init__(self, language: Language) -> None:
        """Read the language's file, once per process."""
        self._lists = _read(language)
        self._alone = frozenset[tuple[str, ...]]().union(*self._lists.values())

    def only_acknowledges(self, text: str, *, begun: bool = False) -> bool:
        """Whether a reply takes no turn if it is said while the other one talks.

        Args:
            text: The reply.
            begun: Whether more may come: then it may also be the beginning of one (“por” supuesto),
                unless it says “stop”.
        """
        words, phrases = words_of(text), self._lists["backchannels"]
        if begun and not self.stops(text) and _begins(words, phrases):
            return True
        return _consists_of(words, phrases)

    def answers(self, text: str) -> bool:
        """Whether a reply answers a yes-or-no question, with nothing to follow."""
        return _consists_of(words_of(self.gist(text)), self._lists["answers"])

    def gist(self, text: str, *, begun: bool = False) -> str:
        """A reply without the thanks, or the “please”, that it ends in: it is answered alike.

        Args:
            text: The reply.
            begun: Whether more may come: then they may also be unfinished (“muchas”).
        """
        words, phrases = words_of(text), self._lists["politeness"]
        unfinished = {phrase[:count] for phrase in phrases for count in range(1, len(phrase))}
        if begun:
            words = words[: _ending_begins(words, unfinished)]
        while (at := _ending_begins(words, phrases)) < len(words):
            words = words[:at]
        return " ".join(words)

    def politeness(self, text: str) -> int:
        """How many words of thanks, or of a “please”, stand at the end of others."""
        return len(words_of(text)) - len(self.gist(text).split())

    def only_polite(self, text: str, *, begun: bool = False) -> bool:
        """Whether a reply is nothing but thanks, or a “please”.

        Args:
            text: The reply.
            begun: Whether more may come: then it may also be unfinished (“muchas”).
        """
        words, phrases = words_of(text), self._lists["politeness"]
        return _begins(words, phrases) if begun else _consists_of(words, phrases)

    def stops(self, text: str) -> bool:
        """Whether a reply tells the other one to stop, and nothing else."""
        return _consists_of(words_of(text), self._lists["stops"])

    def stands_alone(self, text: str) -> bool:
        """Whether a reply that cuts the bot off is one to the bot, not the rest of a sentence."""
        return _consists_of(words_of(text), self._alone)


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, without capitals and accents."""
    plain = unicodedata.normalize("NFD", text.casefold().replace("’", "'"))
    return tuple(_WORD.findall("".join(c for c in plain if not unicodedata.combining(c))))


def after_words(text: str, count: int) -> str:
    """What follows so many words of a text, as `words_of` counts them."""
    text = unicodedata.normalize("NFC", text)
    *_, last = islice(_WRITTEN_WORD.finditer(text), count)
    return text[last.end() :].lstrip(_BETWEEN)


def _consists_of(words: tuple[str, ...], phrases: frozenset[tuple[str, ...]]) -> bool:
    """Whether words can be divided into phrases, and are not too many."""
    return 0 < len(words) <= _MOST_WORDS and len(words) in _ends(words, phrases)


def _ends(words: tuple[str, ...], phrases: frozenset[tuple[str, ...]]) -> set[int]:
    """Up to which places words can be divided into phrases."""
    ends = {0}
    for start in range(len(words)):
        if start in ends:
            ends |= {end for end in range(start + 1, len(words) + 1) if words[start:end] in phrases}
    return ends


def _ending_begins(words: tuple[str, ...], phrases: Collection[tuple[str, ...]]) -> int:
    """Where the phrase begins that words end in; behind the last of them if there is none.

    The first word belongs to no such phrase.
    """
    return next((at for at in range(1, len(words)) if words[at:] in phrases), len(words))


def _begins(words: tuple[str, ...], phrases: frozenset[tuple[str, ...]]) -> bool:
    """Whether words can be divided into phrases, the last of which may be unfinished."""
    ends = _ends(words, phrases)
    return bool(words) and any(
        phrase[: len(words) - at] == words[at:] for at in ends for phrase in phrases
    )


@cache
def _read(language: Language) -> dict[str, frozenset[tuple[str, ...]]]:
    kinds: dict[str, dict[str, str]] = yaml.safe_load(
        (_FOLDER / f"{language}.yaml").read_text(encoding="utf-8")
    )
    return {
        kind: frozenset(
            words_of(entry) for listed in groups.values() for entry in listed.split(",")
        )
        for kind, groups in kinds.items()
    }
