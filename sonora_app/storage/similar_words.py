"""Finds texts that share words with a query, whatever the accents and endings of the words."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from sonora_app.storage.records import Memory

_SHORTEST = 4
"""Letters of the shortest word that is looked for: shorter ones are mostly articles."""
_STEM = 5
"""Letters by which two words count as alike: "alergia" and "alérgica" share them."""
_MOST_WORDS = 12

_WORD = re.compile(r"\w+")
_LOOSE = re.compile(r"[^b-df-hj-mp-tv-z0-9]")
"""Vowels and `n`, which an accent or a tilde may stand on, and letters of other alphabets."""


def folded(text: str) -> str:
    """`text` in small letters without accents."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def telling_words(text: str) -> tuple[str, ...]:
    """The beginnings of the words in `text` that may tell what it is about, folded."""
    return _beginnings(text, _SHORTEST)


def asked_words(text: str) -> tuple[str, ...]:
    """The telling words of `text`, which asks for something; where it has none, all its words.

    What somebody asks for may be no more than a short name: "Ana", "mi tía".
    """
    return telling_words(text) or _beginnings(text, 2)


def _beginnings(text: str, shortest: int) -> tuple[str, ...]:
    words = (word[:_STEM] for word in _WORD.findall(folded(text)) if len(word) >= shortest)
    return tuple(dict.fromkeys(words))[:_MOST_WORDS]


def loose_pattern(word: str) -> str:
    """A pattern for SQL's LIKE that finds `word`, with or without accents, and some others too."""
    return f"%{_LOOSE.sub('_', word)}%"


def likeness(text: str, words: Iterable[str]) -> int:
    """How many of `words` begin a word of `text`."""
    there = {word[:_STEM] for word in _WORD.findall(folded(text))}
    return sum(word in there for word in words)


def most_alike(memories: Sequence[Memory], words: Sequence[str], limit: int) -> tuple[Memory, ...]:
    """Those of `memories` in which one of `words` stands, the ones with most of them first."""
    found = [(likeness(memory.content, words), memory) for memory in memories]
    found.sort(key=lambda each: -each[0])
    return tuple(memory for score, memory in found if score)[:limit]
