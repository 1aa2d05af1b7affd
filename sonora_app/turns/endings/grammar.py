"""Tells from the last words of a transcript whether the user is likely to say more.

Smart-turn judges by the sound alone. The words are a second witness: a speaker who stops after an
article, a preposition, a conjunction or a filler has not finished. The YAML files beside this
module list such words for each language. They are grammar, not meaning: most sentences could end
long before they do, and no list can tell.

The recogniser guesses the punctuation. Deepgram puts a full stop wherever it is told to finalize,
so a full stop means nothing. A comma or an ellipsis is a guess that more will come. A question mark
is a guess that nothing will (“What is it for?”).
"""

import re
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from pathlib import Path

import yaml

from sonora_app.settings import Language
from sonora_app.turns.replies.grammar import Replies

_FOLDER = Path(__file__).parent
_LONGEST = 4
"""The most words that an entry of the lists has."""

_ITEMS = 3
"""So many parts in a row, short but for the first one, are a list. The recogniser puts a comma or,
where somebody pauses, a full stop between them."""

_ITEM_WORDS = 2
"""The most words of a thing that is listed."""

_THING_WORDS = 8
"""The most words of a thing (“una llave inglesa ajustable”), of a first clause (“si no hay sitio el
viernes”), or of a first part (“no solo está lejos”)."""

_KNOWN_WORDS = 3
"""The most words of a thing with a definite article: more are a sentence (“la luz se fue ayer”)."""

_OPENING_WORDS = 3
"""The fewest words of a first clause: “si puedes” is a sentence by itself."""

_BRIEF_WORDS = 4
"""The most words of a beginning (“busco un regalo”). Of the pauses where a sentence could be over,
more than half come after no more words, and of the ends a tenth."""

_ACCENTED = re.compile(r"[áéíóú]")

_DIGITS = {"ones": 1, "teens": 2, "twenties": 2, "tens": 2, "hundreds": 3}
"""How many digits the numbers of a group have."""

_TIMES = {"doubled": 2, "tripled": 3}
"""How often a word of a group has the number behind it counted."""

_WORD = re.compile(r"\w+(?:['’-]\w+)*")
_CLAUSE = re.compile(r"[.,;:?!…¡¿]")
_GOING_ON = re.compile(r"(?:,|:|…|\.\.\.)$")
_ASKED = re.compile(r"[?!]$")


class Ending(Enum):
    """How a transcript ends."""

    WHOLE = auto()
    """The user may have said everything."""

    NUMBER = auto()
    """In a number or a spelt word. More of it may come, because people dictate with pauses."""

    DICTATED = auto()
    """In a row of numbers, of letters or of listed things, or before a second part that was
    announced. Most likely more of it comes."""

    BEGUN = auto()
    """After things that are named and nothing else, or after a clause that opens a sentence. Where
    nothing was asked, more of it comes."""

    BRIEF = auto()
    """After a few words that could be all. Where nothing was asked, people often pause there."""

    OPEN = auto()
    """In the middle of a sentence."""

    ANSWERED = auto()
    """With all that was asked for. That is known only by who knows what was asked."""


@dataclass(frozen=True)
class _Lists:
    """The words of a language."""

    open: frozenset[str]
    fillers: frozenset[str]
    numbers: frozenset[str]
    digits: dict[str, int]
    times: dict[str, int]
    letters: frozenset[str]
    last: frozenset[str]
    things: frozenset[str]
    known: frozenset[str]
    opening: frozenset[str]
    first: frozenset[str]
    enough: frozenset[str]
    announcing: frozenset[str]
    announced: frozenset[str]
    commands: frozenset[str]
    wanting: frozenset[str]
    objects: frozenset[str] = frozenset()
    as_digits: frozenset[str] = frozenset()


class Endings:
    """How transcripts of one language end.

    Args:
        language: What is spoken.
    """

    def __init__(self, language: Language) -> None:
        """Read the language's file, once per process."""
        self._lists = _read(language)
        self._replies = Replies(language)

    def of(self, text: str) -> Ending:
        """Tell how a transcript ends.

        A single word is taken for an answer (“Una.”, “Para.”) unless it is a filler. A letter is
        one of a word that is spelt where it stands alone or after another (“G A R”); else it may
        be a word (“uno o”), or a name (“el plan B”). A list goes on until its last thing is
        announced (“y queso”), and a sentence until its second part has begun that its first
        announces (“no solo es lejos”, before “sino”).

        Args:
            text: What was recognised so far of the user's turn.
        """
        text = text.strip()
        words = _words(text)
        if not words or _ASKED.search(text):
            return Ending.WHOLE
        last = [" ".join(words[-count:]) for count in range(1, min(_LONGEST, len(words)) + 1)]
        if _GOING_ON.search(text) or not self._lists.fillers.isdisjoint(last):
            return Ending.OPEN
        if self._dictates(words):
            return Ending.DICTATED
        if self._is_number(last[0]) or not self._lists.letters.isdisjoint(last):
            return Ending.NUMBER
        if len(words) > 1 and not self._lists.open.isdisjoint(last):
            return Ending.OPEN
        more = self._announces(words) or self._lists_things(text.lower())
        return Ending.DICTATED if more else Ending.WHOLE

    def digits(self, text: str) -> int:
        """Count the digits that a transcript has, in figures and in words.

        “Cincuenta y cinco” has two, as “doce”, and “ciento veinte” three.
        """
        digits, inside, times, behind = 0, 0, 1, False
        for word in _WORD.findall(text.lower()):
            worth = len(word) if word.isdigit() else self._lists.digits.get(word, 0)
            worth = worth or int(behind and word in self._lists.as_digits)
            if 0 < worth < inside and not word.isdigit():  # a part of the number before
                inside = worth
            elif worth:
                digits, inside = digits + times * worth, 0 if word.isdigit() else worth
            elif word not in self._lists.last:
                inside = 0
            behind, times = bool(worth), self._lists.times.get(word, 1)
        return digits

    def ends_in_letter(self, text: str) -> bool:
        """Whether the last word of a transcript is a letter, or its name."""
        last = _words(text)[-1:]
        return any(
            word in self._lists.letters or (word.isalpha() and len(word) == 1) for word in last
        )

    def ends_list(self, text: str) -> bool:
        """Whether a list that a transcript holds is over: its last thing was announced."""
        words = _WORD.findall(text.lower())
        announced = not self._lists.last.isdisjoint(words[-_ITEM_WORDS - 2 : -1])
        return announced or any(enough in text.lower() for enough in self._lists.enough)

    def only_begins(self, text: str) -> bool:
        """Whether a transcript is no sentence yet, unless it answers something.

        It names things (“una paloma”), or holds nothing but a first clause (“si llueve mañana”).
        """
        parts = [part.split() for part in _CLAUSE.split(text.lower()) if part.strip()]
        if not parts or _ASKED.search(text.strip()):
            return False
        opens = parts[0][0] in self._lists.opening and len(parts) == 1
        few = _OPENING_WORDS <= len(parts[0]) <= _THING_WORDS
        return (opens and few) or all(map(self._names, parts))

    def is_request(self, text: str) -> bool:
        """Whether a transcript asks for something, and is whole, however short it is.

        It is a short command, or ends in a “please” or in thanks.
        """
        words = _words(text)
        if polite := self._replies.politeness(text):
            return (self._lists.open | self._lists.wanting).isdisjoint(words[:-polite][-1:])
        return 0 < len(words) <= _BRIEF_WORDS and self._commands(words)

    def is_brief(self, text: str) -> bool:
        """Whether a transcript is of a few words, and nothing that people say by itself.

        Questions, exclamations, thanks, greetings and the like are whole however short they are.
        """
        few = 0 < len(_WORD.findall(text)) <= _BRIEF_WORDS
        return few and not _ASKED.search(text.strip()) and not self._replies.stands_alone(text)

    def _commands(self, words: list[str]) -> bool:
        """Whether a sentence begins as a command that hardly anybody adds to."""
        first = words[0]
        objects = tuple(self._lists.objects)
        has_object = bool(_ACCENTED.search(first)) and first.endswith(objects)
        begins = (" ".join(words[:count]) for count in range(1, _LONGEST + 1))
        return has_object or not self._lists.commands.isdisjoint(begins)

    def _names(self, part: list[str]) -> bool:
        """Whether a clause is a thing: it begins with an article, and is short."""
        most = _THING_WORDS if part[0] in self._lists.things else _KNOWN_WORDS
        named = part[0] in self._lists.things | self._lists.known
        return named and 1 < len(part) <= most

    def _is_number(self, word: str) -> bool:
        return word in self._lists.numbers or word[-1].isdigit()

    def _dictates(self, words: list[str]) -> bool:
        """Whether a row of letters, or of numbers and nothing else, is being said."""
        if all(len(word) == 1 and not word.isdigit() for word in words[-2:]):
            return True
        said = (self._is_number(word) or word in self._lists.as_digits for word in words)
        return len(words) > 1 and all(said)

    def _announces(self, words: list[str]) -> bool:
        """Whether a second part was announced, not long ago, that has not begun."""
        said = f" {' '.join(words)} "
        first_parts = [
            said.rpartition(f" {entry} ")[2].split()
            for entry in self._lists.announcing
            if f" {entry} " in said
        ]
        return any(
            len(part) <= _THING_WORDS and self._lists.announced.isdisjoint(part)
            for part in first_parts
        )

    def _lists_things(self, text: str) -> bool:
        """Whether things are being listed of which the last was not announced."""
        if any(enough in text for enough in self._lists.enough):
            return False
        parts = [part.split() for part in _CLAUSE.split(text) if part.strip()]
        if any(" ".join(part).startswith(tuple(self._lists.first)) for part in parts):
            return True
        items = parts[-_ITEMS:]
        short = all(len(item) <= _ITEM_WORDS for item in items[1:])
        if len(items) < _ITEMS or not short or items[-1][0] in self._lists.last:
            return False
        if any(part[-1] in self._lists.open for part in parts):
            return False  # a sentence that was recognised in pieces (“Busco un. Hotel.”)
        return not any(self._replies.answers(" ".join(item)) for item in items)


def _words(text: str) -> list[str]:
    return [word.replace("’", "'") for word in _WORD.findall(text.lower())]


@cache
def _read(language: Language) -> _Lists:
    kinds: dict[str, dict[str, str]] = yaml.safe_load(
        (_FOLDER / f"{language}.yaml").read_text(encoding="utf-8")
    )

    def of_groups(values: dict[str, int]) -> dict[str, int]:
        numbers = kinds["numbers"]
        return {
            entry: value
            for group, value in values.items()
            for entry in numbers.get(group, "").split(", ")
        }

    return _Lists(
        digits=of_groups(_DIGITS),
        times=of_groups(_TIMES),
        **{
            kind: frozenset(entry for listed in groups.values() for entry in listed.split(", "))
            for kind, groups in kinds.items()
        },
    )
