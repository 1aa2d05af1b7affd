"""The messages about what is remembered of the person who talks. Part of `protocol.py`."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from sonora_app.page.messages import Event, Inbound, Outbound

MAX_FACT_CHARS = 500
"""The longest sentence that is remembered, in characters."""

FactText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_FACT_CHARS)
]


class ListMemories(Inbound):
    """Ask what is remembered of the person, the latest first.

    `past` asks for what holds no more, too. `skip` leaves out so many, to go on from there.
    """

    past: bool = False
    skip: int = Field(default=0, ge=0, le=100_000)


class CorrectMemory(Inbound):
    """Put another sentence in the place of one that is remembered, which is forgotten."""

    id: UUID
    content: FactText


class ForgetMemory(Inbound):
    """Forget what is remembered, for good."""

    id: UUID


class SetMemory(Inbound):
    """Say whether the person wants to be remembered."""

    remembers: bool


class RememberedFact(Outbound):
    """One thing that is remembered of the person, and the message that they said it in."""

    id: UUID
    content: str
    said_at: datetime
    message_id: UUID | None = None
    conversation_id: UUID | None = None
    valid_until: datetime | None = None
    replaced_by: UUID | None = None


class Memories(Outbound):
    """The answer to `list_memories`. `more`: ask on with `skip`.

    `remembers` is what the person said about being remembered; null: nothing. `keeps`: whether what
    they say now may be kept.
    """

    status: Literal["memories"] = "memories"
    memories: list[RememberedFact]
    more: bool
    remembers: bool | None
    keeps: bool


class MemoryKept(Event):
    """Something about the person was kept, in the place of `replaces` perhaps."""

    event: Literal["memory-kept"] = "memory-kept"
    memory: RememberedFact
    replaces: UUID | None = None


class MemoryEnded(Event):
    """Something that was remembered was forgotten for good, or else holds no more."""

    event: Literal["memory-ended"] = "memory-ended"
    id: UUID
    forgotten: bool
