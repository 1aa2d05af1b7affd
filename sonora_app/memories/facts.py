"""The facts that a call knows of a person, each with a number by which the model names it."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from sonora_app.flow.quoted import quoted
from sonora_app.storage.records import Memory
from sonora_app.storage.similar_words import asked_words, folded, likeness

MAX_FACTS = 50
"""How many facts of a person a call starts with: the latest ones."""

MAX_CONTENT_CHARS = 500
"""The longest fact that is kept. It is one sentence."""

_TOLD_CHARS = 300
"""How much of one fact is told: an older project's may be of any length."""
_TOLD_CHARS_IN_ALL = 6_000
_MOST_FOUND = 20
"""How many facts more may be told of in a call, as they are talked about."""


class Facts:
    """Numbered facts. A number stays with its fact for the length of the call.

    Args:
        memories: The latest first.
    """

    def __init__(self, memories: Iterable[Memory] = ()) -> None:
        """Number them, the latest first."""
        self._by_number: dict[int, Memory] = {}
        self._numbers: dict[UUID, int] = {}
        self._next = 1
        self._found = 0
        self._timely: set[int] = set()
        for memory in memories:
            self.add(memory)

    def __iter__(self) -> Iterator[tuple[int, Memory]]:
        """The facts with their numbers, by number."""
        return iter(tuple(self._by_number.items()))

    def __len__(self) -> int:
        """How many there are."""
        return len(self._by_number)

    def add(self, memory: Memory, *, timely: bool = False) -> int:
        """Take in a fact; gives its number. One that is there already keeps its own.

        Args:
            memory: The fact.
            timely: Whether it is talked about now, and so is told before the others.
        """
        number = self._numbers.get(memory.id)
        if number is not None:
            self._by_number[number] = memory
            return number
        number, self._next = self._next, self._next + 1
        self._by_number[number] = memory
        self._numbers[memory.id] = number
        if timely:
            self._timely.add(number)
        return number

    def add_found(self, memories: Iterable[Memory]) -> bool:
        """Take in facts that are talked about, while there is room. Tells whether any is new."""
        new = False
        for memory in memories:
            if self._found >= _MOST_FOUND or self.number_of(memory) is not None:
                continue
            self.add(memory, timely=True)
            self._found += 1
            new = True
        return new

    def get(self, number: int) -> Memory | None:
        """The fact of this number, or None."""
        return self._by_number.get(number)

    def of_id(self, memory_id: UUID) -> Memory | None:
        """The fact of this id, or None."""
        number = self._numbers.get(memory_id)
        return None if number is None else self._by_number[number]

    def drop(self, memory: Memory) -> None:
        """Know this fact no more."""
        number = self._numbers.pop(memory.id, None)
        if number is not None:
            del self._by_number[number]

    def number_of(self, memory: Memory) -> int | None:
        """The number of this fact, or None."""
        return self._numbers.get(memory.id)

    def same_as(self, content: str) -> Memory | None:
        """The fact that says the same in the same words, whatever their accents and capitals."""
        wanted = _bare(content)
        return next((memory for _, memory in self if _bare(memory.content) == wanted), None)

    def about(self, text: str) -> list[Memory]:
        """The facts that share most of the telling words of `text`, the best first."""
        words = asked_words(text)
        scored = [(likeness(memory.content, words), memory) for _, memory in self]
        best = max((score for score, _ in scored), default=0)
        return [memory for score, memory in scored if score == best] if best else []

    def told(self) -> list[tuple[int, str]]:
        """The facts as the model is told them: quoted, a line each, bounded each and in all."""
        told: list[tuple[int, str]] = []
        room = _TOLD_CHARS_IN_ALL
        for number, memory in sorted(self, key=lambda each: each[0] not in self._timely):
            text = quoted(" ".join(memory.content.split()), max_chars=_TOLD_CHARS)
            if text is None:
                continue
            room -= len(text)
            if room < 0:
                break
            told.append((number, text))
        return sorted(told)


def one_sentence(text: str) -> str:
    """`text` on one line, without what is no text, and no longer than a fact may be."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= MAX_CONTENT_CHARS else line[: MAX_CONTENT_CHARS - 1] + "…"


def end_of_day(text: str) -> datetime | None:
    """The end of the day that `text` names (YYYY-MM-DD), wherever on earth; None if it names none.

    Raises:
        ValueError: It is something else, or a day that cannot be.
    """
    if not text.strip():
        return None
    day = date.fromisoformat(text.strip()[:10])
    # The day ends last at twelve hours west of Greenwich.
    return datetime.combine(day, time(12), UTC) + timedelta(days=1)


def last_day(moment: datetime) -> date | None:
    """The day at whose end, as `end_of_day` has it, `moment` is; None where it is another time."""
    moment = moment.astimezone(UTC)
    return (moment - timedelta(days=1)).date() if moment.time() == time(12) else None


def _bare(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in folded(text)).split())
