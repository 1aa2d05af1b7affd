"""Whether the person has agreed to what a tool is about to do, where they have to.

They have to where the tool says so (`confirm`), and where the same was asked for before and nobody
knows whether it was done.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable

from sonora_app.call.tools.running import RunningTool

_QUESTION_CHARS = 12
"""How long a question is at least that says what will be done."""

_NO_WORDS = re.compile(r"\W+")


class Agreements:
    """What the person of one call has agreed to.

    Args:
        unsure: Tells whether nobody knows what came of the same in an earlier call.
    """

    def __init__(self, unsure: Callable[[RunningTool], bool]) -> None:
        """Nothing was said yet."""
        self._unsure = unsure
        self._turn = 0
        self._replies = 0  # how often the person spoke after the bot had
        self._asked_in: dict[str, int] = {}
        self._settled: set[str] = set()
        self._bot_said = self._replied_to = ""

    def bot_said(self, text: str) -> None:
        """The bot said something, as the person heard it."""
        self._bot_said = f"{self._bot_said} {text}"

    def user_said(self) -> None:
        """The user said something: a turn begins."""
        self._turn += 1
        if self._bot_said:
            self._replied_to, self._bot_said = self._bot_said, ""
            self._replies += 1

    def missing(self, wanted: RunningTool, before: Iterable[RunningTool], question: str) -> str:
        """Why the person has to be asked first: `perhaps_done` or `confirm`; empty: they need not.

        Args:
            wanted: What is about to be done.
            before: What was asked for in this call so far.
            question: What the model says that it asked the person, who said yes.
        """
        tool, key = wanted.tool, wanted.fingerprint
        if not tool.repeatable:
            same = (each for each in before if each.fingerprint == key)
            if any(each.unknown_in == self._turn for each in same):
                return "perhaps_done"
            if key not in self._settled and self._unsure(wanted):
                if not self._agreed(key):
                    return "perhaps_done"
                self._settled.add(key)
                return ""
        if not tool.confirm or self._was_asked(question) or self._agreed(key):
            return ""
        return "confirm"

    def _agreed(self, key: str) -> bool:
        """Whether the person replied to something since the model was told to ask them.

        Whoever was cut off and goes on has heard no question.
        """
        asked_in = self._asked_in.pop(key, None)
        if asked_in is not None and asked_in < self._replies:
            return True
        self._asked_in[key] = self._replies if asked_in is None else asked_in
        return False

    def _was_asked(self, question: str) -> bool:
        """Whether the bot asked just that before the person spoke last."""
        words = _words(question)
        return len(words) >= _QUESTION_CHARS and words in _words(self._replied_to)


def _words(text: str) -> str:
    return _NO_WORDS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()
