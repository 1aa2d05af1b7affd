"""Tells a plain goodbye: one that is nothing else, whatever the model makes of it.

The words are in `flows/lines/`, under `goodbyes`. All of what was said has to be made of them, in
any language: "le dije adiós a mi jefe" is no goodbye, and "bueno, muchas gracias, chau" is one.
"""

import re
import unicodedata
from collections.abc import Collection
from functools import cache

from sonora_app.flow.lines import Lines
from sonora_app.settings import Language

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_MAX_WORDS = 16


def way_out(text: str, offered: Collection[str]) -> str | None:
    """The function of the flow that a plain goodbye takes; None where `text` is none.

    Args:
        text: What the person said since they were last answered.
        offered: The functions that the model may call at this point.
    """
    if "say_goodbye" in offered and _is_made_of(text, ("words", "nothing_more")):
        return "say_goodbye"
    if "wrap_up" in offered and _is_made_of(text, ("words",)):
        return "wrap_up"
    return None


def _is_made_of(text: str, kinds: Collection[str]) -> bool:
    """Whether all of `text` is phrases of these kinds and what stands beside them, and one of
    these kinds is there."""
    words = _plain(text)
    if not words or len(words) > _MAX_WORDS or "?" in text:
        return False
    telling = {phrase for kind in kinds for phrase in _phrases(kind)}
    known = telling | _phrases("beside")
    longest, at, told = max(map(len, known)), 0, False
    while at < len(words):
        found = next(
            (
                part
                for size in range(min(longest, len(words) - at), 0, -1)
                if (part := words[at : at + size]) in known
            ),
            None,
        )
        if found is None:
            return False
        told = told or found in telling
        at += len(found)
    return told


@cache
def _phrases(kind: str) -> frozenset[tuple[str, ...]]:
    lines = [line for each in Language for line in Lines(each).all(f"goodbyes.{kind}")]
    return frozenset(map(_plain, lines))


def _plain(text: str) -> tuple[str, ...]:
    """The words without capitals, accents and apostrophes."""
    letters = unicodedata.normalize("NFD", text.casefold())
    bare = "".join(each for each in letters if not unicodedata.combining(each))
    return tuple(re.sub(r"['’]", "", word) for word in _WORD.findall(bare))
