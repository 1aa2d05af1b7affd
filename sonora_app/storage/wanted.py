"""Which conversations are wanted of a store."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from sonora_app.storage.records import ConversationStatus, EndReason
from sonora_app.storage.similar_words import folded

SLOW_MS = 2_000
"""From how long a wait on an answer makes a call a slow one, in milliseconds."""

LONGEST_CALL = timedelta(hours=4)
"""How long a call may take, at most: one that began earlier, and has no end, has no process."""

_MOST_WORDS = 12
_BEFORE, _AFTER = 40, 120
"""Characters of an excerpt before the word that was looked for, and after its beginning."""

_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class WantedCall:
    """Which conversations a list has, by one call of theirs of which all of this is true.

    Parameters:
        since: It began since; None: whenever.
        until: It began before; None: whenever.
        ended: It ended so; None: in any way.
        cut: A turn in it was taken to be over, though the user went on at once.
        failure: This failed in it: what the page was told of, by its code, or `tool`.
        version: It was held by this version of Sonora.
        flow: It went by this version of the flow.
    """

    since: datetime | None = None
    until: datetime | None = None
    ended: EndReason | None = None
    cut: bool = False
    failure: str | None = None
    version: str | None = None
    flow: str | None = None


ANY_CALL = WantedCall()
"""Nothing is wanted of a call."""


@dataclass(frozen=True)
class Wanted:
    """Which conversations a list has.

    Parameters:
        user_id: This user's; None: everyone's.
        status: Those that stand so; None: all.
        since: Those talked in since, or begun since where nobody talked yet; None: all.
        until: Those talked in before, or begun before where nobody talked yet; None: all.
        text: Those in which each of these words, whatever its accents, begins a word of one turn,
            cut in two or not, or of the title with the summary. Empty: all; without a word: none.
        failed: Only those where a call ended by an error, or a tool failed.
        slow: Only those where an answer took `SLOW_MS` or longer. Known once a call has ended.
        outcome: Only those that came to this; None: all.
        call: Only those that had such a call.
        label: Only those with this label; empty: all.
    """

    user_id: str | None = None
    status: ConversationStatus | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""
    failed: bool = False
    slow: bool = False
    outcome: str | None = None
    call: WantedCall = ANY_CALL
    label: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """The words of `text`, folded."""
        return tuple(dict.fromkeys(_WORD.findall(folded(self.text))))[:_MOST_WORDS]

    @property
    def in_vain(self) -> bool:
        """Whether it can be true of no conversation: what is looked for has no word."""
        return bool(self.text.strip()) and not self.words


EVERY = Wanted()
"""All conversations."""


def holds(text: str, words: tuple[str, ...]) -> bool:
    """Whether each of `words`, which are folded, begins a word of `text`."""
    held = _WORD.findall(folded(text))
    return all(any(each.startswith(word) for each in held) for word in words)


def excerpt(text: str, words: tuple[str, ...]) -> str:
    """The part of `text` around the first word that one of `words` begins, in one line."""
    line = " ".join(text.split())
    at = next(
        (found.start() for found in _WORD.finditer(line) if folded(found[0]).startswith(words)), 0
    )
    first = line.rfind(" ", 0, at - _BEFORE) + 1 if at > _BEFORE else 0
    last = line.find(" ", at + _AFTER)
    end = "" if last < 0 else "…"
    return f"{'…' if first else ''}{line[first : None if last < 0 else last]}{end}"
