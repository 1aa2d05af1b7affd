"""What the values that records have mean in words, such as how a call ended.

The console's page is built from the same `kept_words.json`, so both say the same.
"""

import json
from functools import cache
from pathlib import Path
from typing import Literal, cast

from sonora_app.wording.translation import is_spanish

What = Literal["status", "ends", "outcomes"]
"""How conversations stand, how calls end, and what conversations come to."""

_FILE = Path(__file__).with_suffix(".json")


def in_words(what: What, value: str) -> str:
    """A value in the language of the words; as it is where it has none, as an outcome may."""
    return kept_words()["es" if is_spanish() else "en"][what].get(value, value)


def meant(what: What, text: str) -> str:
    """The value as it is kept, of which somebody wrote the words of either language."""
    said = " ".join(text.split()).casefold()
    for language in kept_words().values():
        for value, told in language[what].items():
            if told == said:
                return value
    return text


@cache
def kept_words() -> dict[str, dict[What, dict[str, str]]]:
    """The words by language, by what they are of, and by value."""
    words = json.loads(_FILE.read_text(encoding="utf-8"))
    return cast(dict[str, dict[What, dict[str, str]]], words)
