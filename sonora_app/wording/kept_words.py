"""What the values that records have mean in words: how calls end, and what conversations come to.

The console's page is built from the same `kept_words.json`, so both say the same.
"""

import json
from functools import cache
from pathlib import Path
from typing import cast

from sonora_app.wording.translation import is_spanish

_FILE = Path(__file__).with_suffix(".json")


def end_in_words(reason: str) -> str:
    """How a call ended that has this reason, in the language of the words."""
    return _told("ends").get(reason, reason)


def outcome_in_words(outcome: str) -> str:
    """An outcome in the language of the words; one of a flow of one's own as it is."""
    return _told("outcomes").get(outcome, outcome)


def outcome_meant(text: str) -> str:
    """The outcome as it is kept, of which somebody wrote the words of either language."""
    said = " ".join(text.split()).casefold()
    for language in kept_words().values():
        for outcome, told in language["outcomes"].items():
            if told == said:
                return outcome
    return text


@cache
def kept_words() -> dict[str, dict[str, dict[str, str]]]:
    """The words by language, by what they are of, and by value."""
    words = json.loads(_FILE.read_text(encoding="utf-8"))
    return cast(dict[str, dict[str, dict[str, str]]], words)


def _told(what: str) -> dict[str, str]:
    return kept_words()["es" if is_spanish() else "en"][what]
