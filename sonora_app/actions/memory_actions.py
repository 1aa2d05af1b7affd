"""What a page may ask about what is remembered of the person who talks."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

from sonora_app.call.call import Call
from sonora_app.call.context.memory_use import shown
from sonora_app.errors import ErrorCode, MessageError, NotFoundError
from sonora_app.memories.person import Person, Source
from sonora_app.page.protocol import (
    Accepted,
    CorrectMemory,
    ForgetMemory,
    ListMemories,
    Memories,
    Outbound,
    RememberedFact,
    SetMemory,
)
from sonora_app.storage.records import Memory
from sonora_app.storage.store import Known, Recall
from sonora_app.wording.translation import worded

_LISTED = 50
"""Facts in one answer, at most."""
_ANSWER_BYTES = 48_000
"""How long an answer may get. It has to fit into one message of WebRTC's data channel, 64 KiB."""


class MemoryActions:
    """Lists, corrects and forgets what is remembered, for the page of one call.

    Args:
        call: The call.
    """

    def __init__(self, call: Call) -> None:
        """Act for the person who is known once the conversation is open."""
        self._call = call

    @property
    def runs(self) -> Mapping[str, Callable[[Any], Awaitable[Outbound]]]:
        """The actions by their names."""
        return {
            "list_memories": self._list,
            "correct_memory": self._correct,
            "forget_memory": self._forget,
            "set_memory": self._set,
        }

    async def _list(self, asked: ListMemories) -> Outbound:
        person = self._person()
        # Whether there are more is seen by one that is too many.
        known = await self._known(Recall(limit=asked.skip + _LISTED, past=asked.past))
        listed, room = list[RememberedFact](), _ANSWER_BYTES
        for fact in map(shown, known.memories[asked.skip :]):
            # As JSON in ASCII, six bytes a letter of some alphabets.
            room -= len(json.dumps(fact.model_dump(mode="json")))
            if room < 0:
                break
            listed.append(fact)
        return Memories(
            memories=listed,
            more=known.more or asked.skip + len(listed) < len(known.memories),
            remembers=person.permission.remembers,
            keeps=person.permission.keeps,
        )

    async def _correct(self, asked: CorrectMemory) -> Outbound:
        person, memory = self._person(), await self._memory(asked.id)
        source = Source("page", memory.source_message_id, memory.conversation_id)
        person.correct(memory, asked.content, source)
        return Accepted()

    async def _forget(self, asked: ForgetMemory) -> Outbound:
        person = self._person()
        person.forget([await self._memory(asked.id)])
        return Accepted()

    async def _set(self, asked: SetMemory) -> Outbound:
        self._person().choose(asked.remembers)
        if asked.remembers:
            await self._call.memory.read_again()
        return Accepted()

    def _person(self) -> Person:
        if self._call.opened is None:
            raise MessageError(
                ErrorCode.NOT_READY,
                worded("The conversation is not open yet."),
                hint=worded("Send set_conversation_id first."),
            )
        person = self._call.memory.person
        if person is None or not person.permission.proven:
            raise MessageError(
                ErrorCode.MEMORY_UNAVAILABLE,
                worded("Nothing is told of what is remembered: nobody has proven who this is."),
                hint=worded("See docs/security.md, Identity."),
            )
        return person

    async def _memory(self, memory_id: UUID) -> Memory:
        """The fact of this id, of this person."""
        for _, memory in self._person().facts:
            if memory.id == memory_id:
                return memory
        known = await self._known(Recall(limit=1, past=True, id=memory_id))
        if known.memories:
            return known.memories[0]
        raise NotFoundError(worded("There is nothing remembered of this id."))

    async def _known(self, recall: Recall) -> Known:
        return await self._call.memory.read(recall)
