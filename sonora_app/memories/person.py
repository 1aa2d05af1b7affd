"""What one call knows of the person who talks, and what it keeps, replaces and forgets of them.

Whatever is kept was said by the person: it names the message that it was said in.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sonora_app.flow.quoted import spoken_name
from sonora_app.memories.facts import Facts, one_sentence
from sonora_app.memories.listener import Listener, Silent
from sonora_app.memories.permission import Permission
from sonora_app.storage.records import (
    AnyMemory,
    JsonObject,
    Memory,
    MemoryChoice,
    MemoryUpdate,
    Record,
    utc_now,
    uuid7,
)
from sonora_app.storage.similar_words import asked_words, likeness, telling_words
from sonora_app.storage.store import Known, Recall

_FOUND_AT_ONCE = 5

_End = Literal["replaced", "over", "forgotten"]
"""Why a fact is known no more."""


@dataclass(frozen=True)
class Source:
    """Where something was said.

    Parameters:
        kind: `call`, `review` (after a call), `page`, `console` or `command`.
        message_id: The message; None where it was in none.
        conversation_id: Its conversation.
        language: What it was said in.
    """

    kind: str
    message_id: UUID | None = None
    conversation_id: UUID | None = None
    language: str | None = None


class Person:
    """Somebody that Sonora may remember.

    Args:
        user_id: Who it is.
        permission: What may be done.
        known: What is remembered of them, as far as it was read.
        write: Has records kept, in order.
        listener: Told of every change.
    """

    def __init__(
        self,
        user_id: str,
        permission: Permission,
        known: Known,
        *,
        write: Callable[[Sequence[Record]], None],
        listener: Listener | None = None,
    ) -> None:
        """Know what was read, if it may be used."""
        self.user_id = user_id
        self.permission = permission
        self.facts = Facts(known.memories if permission.uses else ())
        self.shared = known.shared if permission.uses else ()
        self.more = known.more and permission.uses
        self._write = write
        self._listener = listener or Silent()
        self._over: dict[UUID, tuple[_End, str]] = {}
        self._chosen_at = known.chosen_at

    @property
    def name(self) -> str | None:
        """What they are called, as they said last."""
        named = [m for _, m in self.facts if _name_in(m.metadata)]
        latest = max(named, key=lambda memory: memory.created_at, default=None)
        return _name_in(latest.metadata) if latest else None

    def learn(self, known: Known) -> None:
        """Take in what could not be read before."""
        if known.remembers is not None and self.permission.remembers is None:
            self.permission = self.permission.chosen(known.remembers)
            self._chosen_at = known.chosen_at
        if not self.permission.uses:
            self.facts, self.shared, self.more = Facts(), (), False
        else:
            for memory in self._still(known.memories):
                self.facts.add(memory)
            self.shared, self.more = known.shared, known.more
        self._listener.memory_changed()

    def recall_about(self, text: str, *, asked: bool = False) -> Recall | None:
        """What to read because the person talks of `text`; None where all is known already.

        Args:
            text: What they say, or what they ask for.
            asked: Whether they ask for just that.
        """
        words = (asked_words if asked else telling_words)(text) if self.more else ()
        return Recall(limit=_FOUND_AT_ONCE, words=words) if words else None

    def found(self, known: Known) -> None:
        """Take in what was read because it is talked about."""
        if self.permission.uses and self.facts.add_found(self._still(known.memories)):
            self._listener.memory_changed()

    def keep(
        self,
        content: str,
        source: Source,
        *,
        said_at: datetime | None = None,
        until: datetime | None = None,
        replaces: Memory | None = None,
        name: str = "",
    ) -> Memory | None:
        """Keep a fact. Whether that may be is for the caller to say.

        Args:
            content: One sentence; what is more than that is cut.
            source: Where it was said.
            said_at: When; None is now.
            until: Until when it holds.
            replaces: The fact that it is said in the place of, which ends.
            name: What the person is called, if that is what the fact says.

        Returns:
            What is kept; None where it is empty, or kept already; and where the request after the
            call tells anew what was forgotten in it.
        """
        content = one_sentence(content)
        if not content or (source.kind == "review" and self._was_forgotten(content)):
            return None
        same = self.facts.same_as(content)
        if same is not None and same.valid_until == until:
            return None
        replaces = replaces or same
        now = utc_now()
        memory = Memory(
            id=uuid7(),
            user_id=self.user_id,
            content=content,
            source_message_id=source.message_id,
            conversation_id=source.conversation_id,
            created_at=said_at or now,
            valid_until=until,
            metadata=_metadata(source, name),
        )
        records: list[Record] = [memory]
        if replaces is not None:
            records.append(
                MemoryUpdate(
                    id=replaces.id, user_id=self.user_id, valid_until=now, replaced_by=memory.id
                )
            )
            self._drop(replaces, "replaced")
        self._write(records)
        if self.permission.uses:
            self.facts.add(memory, timely=True)
        self._listener.memory_kept(memory, replaces)
        self._listener.memory_changed()
        return memory

    def correct(self, memory: Memory, content: str, source: Source) -> Memory | None:
        """Put another sentence in the place of one that is wrong, of which nothing stays.

        Returns:
            What is kept now; None where the new sentence is empty, or the same.
        """
        content = one_sentence(content)
        if not content or content == memory.content:
            return None
        metadata = {**memory.metadata, "source": source.kind}
        metadata.pop("name", None)
        new = memory.model_copy(update={"id": uuid7(), "content": content, "metadata": metadata})
        end = MemoryUpdate(
            id=memory.id, user_id=self.user_id, replaced_by=new.id, forgotten_at=utc_now()
        )
        self._write([new, end])
        self._drop(memory, "forgotten")
        if self.permission.uses:
            self.facts.add(new)
        self._listener.memory_kept(new, memory)
        self._listener.memory_changed()
        return new

    def end(self, memory: Memory) -> None:
        """Note that a fact holds no more. It is kept as what held before."""
        self._write([MemoryUpdate(id=memory.id, user_id=self.user_id, valid_until=utc_now())])
        self._drop(memory, "over")
        self._listener.memory_ended(memory, forgotten=False)
        self._listener.memory_changed()

    def forget(self, memories: Sequence[Memory], *, untold: bool = False) -> None:
        """Forget facts for good: nothing of what they said stays.

        Args:
            memories: The facts.
            untold: Whether they were told to nobody in this call, so that nobody is told their end.
        """
        now = utc_now()
        self._write(
            [MemoryUpdate(id=m.id, user_id=self.user_id, forgotten_at=now) for m in memories]
        )
        if untold:
            self._over |= {memory.id: ("forgotten", "") for memory in memories}
            return
        for memory in memories:
            self._drop(memory, "forgotten")
            self._listener.memory_ended(memory, forgotten=True)
        self._listener.memory_changed()

    def choose(self, remembers: bool) -> None:
        """Note whether the person wants to be remembered."""
        self._chosen_at = now = utc_now()
        choice = MemoryChoice(id=uuid7(), user_id=self.user_id, remembers=remembers, created_at=now)
        self._write([choice])
        self.permission = self.permission.chosen(remembers)
        if not self.permission.uses:
            self.facts, self.shared, self.more = Facts(), (), False
        self._listener.memory_changed()

    def take_in(self, records: Sequence[AnyMemory]) -> bool:
        """Know what was written of this person, by another call perhaps, or in the console.

        What is known already changes nothing.

        Returns:
            Whether they want to be remembered after all, so that what is kept is to be read again.
        """
        before = (self.permission, {memory.id for _, memory in self.facts})
        replaced: dict[UUID, Memory] = {}
        for record in records:
            if isinstance(record, MemoryUpdate) and record.id not in self._over:
                self._take_in_end(record, replaced)
        for record in records:
            if isinstance(record, Memory):
                self._take_in_fact(record, replaced.get(record.id))
            elif isinstance(record, MemoryChoice) and self._is_later(record):
                self._chosen_at = record.created_at
                self.permission = self.permission.chosen(record.remembers)
        if not self.permission.uses:
            self.facts, self.shared, self.more = Facts(), (), False
        if before != (self.permission, {memory.id for _, memory in self.facts}):
            self._listener.memory_changed()
        return self.permission.uses and not before[0].uses

    def _is_later(self, choice: MemoryChoice) -> bool:
        return self._chosen_at is None or choice.created_at > self._chosen_at

    def _take_in_end(self, record: MemoryUpdate, replaced: dict[UUID, Memory]) -> None:
        memory = self.facts.of_id(record.id)
        if memory is None:
            # Not to be taken in later, by a reading that had begun before.
            self._over[record.id] = ("replaced", "")
            return
        forgotten = record.forgotten_at is not None
        self._drop(
            memory, "forgotten" if forgotten else "replaced" if record.replaced_by else "over"
        )
        if record.replaced_by is None:
            self._listener.memory_ended(memory, forgotten=forgotten)
        else:
            replaced[record.replaced_by] = memory

    def _take_in_fact(self, memory: Memory, replaced: Memory | None) -> None:
        known = memory.id in self._over or self.facts.number_of(memory) is not None
        if known or not self.permission.uses or not memory.holds(utc_now()):
            return
        self.facts.add(memory, timely=True)
        self._listener.memory_kept(memory, replaced)

    @property
    def forgotten(self) -> tuple[str, ...]:
        """What was forgotten since this person is known, for whoever must not write it again."""
        over = self._over.values()
        return tuple(content for end, content in over if content and end == "forgotten")

    def _drop(self, memory: Memory, end: _End) -> None:
        self._over[memory.id] = (end, memory.content)
        self.facts.drop(memory)

    def _still(self, memories: Iterable[Memory]) -> list[Memory]:
        """Those of `memories`, read some time ago, that have not ended since."""
        return [memory for memory in memories if memory.id not in self._over]

    def _was_forgotten(self, content: str) -> bool:
        """Whether `content` tells all that a fact told that was forgotten, or is over."""
        told = (telling_words(text) for end, text in self._over.values() if end != "replaced")
        return any(words and likeness(content, words) == len(words) for words in told)


def _metadata(source: Source, name: str) -> JsonObject:
    """What is kept with a fact: what it comes from, its language, and a name that it gives."""
    known = {"source": source.kind, "language": source.language, "name": spoken_name(name)}
    return {key: value for key, value in known.items() if value}


def _name_in(metadata: dict[str, Any]) -> str | None:
    return spoken_name(metadata.get("name"))
