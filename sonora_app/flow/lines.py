"""The fixed lines that Sonora speaks, from `flows/lines/<language>.yaml`.

No sentence that a user hears is written in Python. The code asks for a line by its key.
"""

import re
import string
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from sonora_app.errors import SettingsError
from sonora_app.settings import Language

FLOWS_DIR = Path(__file__).resolve().parents[2] / "flows"
"""The folder of the flow and its lines."""


class Lines:
    """The lines of one language.

    Args:
        language: Which language.

    Raises:
        SettingsError: The language's file is missing.
    """

    def __init__(self, language: Language) -> None:
        """Read the language's file, once per process."""
        self.language = language
        self._tree = read_lines(language)

    def text(self, key: str, facts: Mapping[str, str | None] | None = None) -> str:
        """The line at `key` (dots walk into the file), with its facts filled in.

        Where the file has several, the first whose facts are all known is taken.

        Args:
            key: Such as `farewell.goodbye`.
            facts: What the placeholders stand for; one that is None or empty is not known.

        Raises:
            KeyError: There is no such line, or each names a fact that is not known.
        """
        entry = self._at(key)
        known = {name: value for name, value in (facts or {}).items() if value}
        candidates: Sequence[str] = [entry] if isinstance(entry, str) else entry
        for candidate in candidates:
            if _fields(candidate) <= known.keys():
                return candidate.format_map(known)
        raise KeyError(f"no line at {key} can be said with {sorted(known)}")

    def all(self, key: str) -> tuple[str, ...]:
        """Every line at `key`, as written."""
        entry = self._at(key)
        return (entry,) if isinstance(entry, str) else tuple(entry)

    def spoken_ahead(self) -> tuple[str, ...]:
        """What is said first, to who comes and to who comes back, the most wanted first."""
        return (*self.fixed_greetings(), self.text("still_here"))

    def fixed_greetings(self) -> tuple[str, ...]:
        """What is said in greetings whoever is greeted: those without facts, and the sentences
        that the others begin with."""
        greetings = (*self.all("greeting.new"), *self.all("greeting.returning"))
        parts = (_BEFORE_FACTS.match(line) for line in greetings)
        return tuple(dict.fromkeys(part[0].strip() for part in parts if part))

    def since(self, then: datetime, now: datetime) -> str:
        """How long ago `then` was, in the words a person would use."""
        gap = now - then
        for limit, key in _SPANS:
            if gap < limit:
                return self.text(f"since.{key}")
        return self.text("since.months")

    def _at(self, key: str) -> Any:  # noqa: ANN401  # a YAML tree
        node: Any = self._tree
        for part in key.split("."):
            node = node[part]
        return node


_BEFORE_FACTS = re.compile(r"[^{]*$|[^{]*[.!?…](?=\s)")
"""A line without placeholders, or its whole sentences before the first of them."""

_SPANS: tuple[tuple[timedelta, str], ...] = (
    (timedelta(hours=1), "minutes"),
    (timedelta(hours=20), "hours"),
    (timedelta(hours=44), "yesterday"),
    (timedelta(days=10), "days"),
    (timedelta(days=50), "weeks"),
)


@cache
def read_lines(language: Language) -> Mapping[str, Any]:
    """The lines of a language, read once.

    Raises:
        SettingsError: They cannot be read.
    """
    path = FLOWS_DIR / "lines" / f"{language}.yaml"
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"The lines for {language} cannot be read: {path}.") from error


def _fields(line: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(line) if name}
