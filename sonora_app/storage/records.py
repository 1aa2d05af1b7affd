"""The values that are kept: conversations, sessions, messages and transitions.

A record is made once, with an id of its own (UUIDv7, RFC 9562). Writing the same record twice has
the same effect as writing it once. A later change to a conversation or a session travels as an
update that names only the fields that change, so that two writers of one row do not undo each
other's work.
"""

import os
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar, Literal, TypeAlias
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object: what metadata, metrics and arguments are."""

StorageHealth = Literal["ok", "delayed", "failing"]
"""How writing goes."""


class ConversationStatus(StrEnum):
    """Where a conversation stands."""

    ACTIVE = "active"
    COMPLETED = "completed"
    ABANDONED = "abandoned"
    FAILED = "failed"


class EndReason(StrEnum):
    """Why a call ended."""

    GOODBYE = "goodbye"
    USER_REQUEST = "user_request"
    USER_IDLE = "user_idle"
    TIME_LIMIT = "time_limit"
    NO_CONVERSATION = "no_conversation"
    CLIENT_LEFT = "client_left"
    SHUTDOWN = "shutdown"
    ERASED = "erased"
    ERROR = "error"
    CRASHED = "crashed"
    TAKEN_OVER = "taken_over"

    @property
    def status(self) -> ConversationStatus:
        """What a call that ended so leaves its conversation as."""
        if self is EndReason.TAKEN_OVER:
            return ConversationStatus.ACTIVE
        if self in (EndReason.CLIENT_LEFT, EndReason.SHUTDOWN, EndReason.ERASED):
            return ConversationStatus.ABANDONED
        if self in (EndReason.ERROR, EndReason.CRASHED):
            return ConversationStatus.FAILED
        return ConversationStatus.COMPLETED


class Role(StrEnum):
    """Who said it."""

    USER = "user"
    ASSISTANT = "assistant"


class Modality(StrEnum):
    """How it was said."""

    VOICE = "voice"
    TEXT = "text"


class Record(BaseModel):
    """Base of what a store can write."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: ClassVar[str]


class Conversation(Record):
    """One thread of talk with one user, over any number of calls."""

    table: ClassVar[str] = "conversations"

    id: UUID
    user_id: str | None = None
    title: str | None = None
    summary: str | None = None
    status: ConversationStatus = ConversationStatus.ACTIVE
    language: str | None = None
    metadata: JsonObject = Field(default_factory=dict)
    created_at: AwareDatetime
    updated_at: AwareDatetime
    last_message_at: AwareDatetime | None = None


class ConversationUpdate(Record):
    """What a call learned about its conversation. Fields left out stay as they are.

    `metadata` is merged into what is there, key by key. What a call says changes nothing once a
    later one holds the conversation; `session_id` is that call.
    """

    table: ClassVar[str] = "conversations"

    id: UUID
    title: str | None = None
    summary: str | None = None
    status: ConversationStatus | None = None
    language: str | None = None
    metadata: JsonObject | None = None
    session_id: UUID | None = None
    updated_at: AwareDatetime


class ProvisionalConversation(Record):
    """That a conversation stands in for another, until it is known whose that is.

    It never leaves the journal. See `provisional.py`.
    """

    table: ClassVar[str] = "provisional"

    id: UUID
    asked_for: UUID
    user_id: str


class Session(Record):
    """One call."""

    table: ClassVar[str] = "sessions"

    id: UUID
    conversation_id: UUID
    transport: str
    started_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    end_reason: EndReason | None = None
    metrics: JsonObject = Field(default_factory=dict)
    app_version: str


class SessionUpdate(Record):
    """The end of a call, or what is known of it before that: then it has no end."""

    table: ClassVar[str] = "sessions"

    id: UUID
    ended_at: AwareDatetime | None = None
    end_reason: EndReason | None = None
    metrics: JsonObject = Field(default_factory=dict)


class Message(Record):
    """One turn of one speaker.

    `content` is what was heard: an interrupted turn of the assistant ends where the user cut
    in. `session_id` and `seq` are absent, `role` may be another word and `content` null in rows
    that a text-chat API wrote.
    """

    table: ClassVar[str] = "messages"

    id: UUID
    conversation_id: UUID
    session_id: UUID | None = None
    seq: int | None = None
    role: str
    content: str | None = None
    modality: Modality = Modality.VOICE
    interrupted: bool = False
    node: str | None = None
    images: list[Any] | None = None
    metadata: JsonObject = Field(default_factory=dict)
    metrics: JsonObject = Field(default_factory=dict)
    created_at: AwareDatetime
    deleted_at: AwareDatetime | None = None


class Transition(Record):
    """One step from a node of the flow to another, and what caused it."""

    table: ClassVar[str] = "transitions"

    id: UUID
    conversation_id: UUID
    session_id: UUID
    seq: int
    from_node: str
    to_node: str
    trigger: str
    arguments: JsonObject = Field(default_factory=dict)
    created_at: AwareDatetime


class Memory(Record):
    """One thing about one person, in a sentence, in the language that it was said in.

    `created_at` is when it was said. It holds until `valid_until`, or until another replaces it,
    which is then kept as what held before. One that was forgotten has no `content` any more.
    """

    table: ClassVar[str] = "memories"

    id: UUID
    user_id: str
    content: str
    source_message_id: UUID | None = None
    conversation_id: UUID | None = None
    created_at: AwareDatetime
    valid_until: AwareDatetime | None = None
    replaced_by: UUID | None = None
    forgotten_at: AwareDatetime | None = None
    metadata: JsonObject = Field(default_factory=dict)

    def holds(self, now: datetime) -> bool:
        """Whether it is still true at `now`, as far as is known."""
        if self.forgotten_at is not None or self.replaced_by is not None:
            return False
        return self.valid_until is None or self.valid_until > now


class MemoryUpdate(Record):
    """The end of a memory: it stops being true, is replaced, or is forgotten.

    Nothing of it is ever taken back, so that it may be applied again, and in any order. A memory
    that is forgotten loses its content and where it came from.
    """

    table: ClassVar[str] = "memories"

    id: UUID
    user_id: str
    valid_until: AwareDatetime | None = None
    replaced_by: UUID | None = None
    forgotten_at: AwareDatetime | None = None


class MemoryChoice(Record):
    """Whether a person wants to be remembered. The one made last counts."""

    table: ClassVar[str] = "memory_choices"

    id: UUID
    user_id: str
    remembers: bool
    created_at: AwareDatetime


AnyMemory = Memory | MemoryUpdate | MemoryChoice
"""What may be written of what is remembered of a person."""


@dataclass(frozen=True)
class RecordedCall:
    """What recording a call needs to know of it.

    Parameters:
        conversation_id: The conversation that it is recorded in.
        session_id: The id of the call.
        last_message_seq: The `seq` that the next message follows.
        last_transition_seq: The `seq` that the next transition follows.
        last_at: The time that they follow; None when nothing was said yet.
        records: What opening the conversation writes, in order.
    """

    conversation_id: UUID
    session_id: UUID
    last_message_seq: int
    last_transition_seq: int
    last_at: datetime | None
    records: tuple[Record, ...]


_last_uuid7 = 0
_uuid7_lock = threading.Lock()


def uuid7(after: UUID | None = None) -> UUID:
    """A new UUIDv7 (RFC 9562, section 5.7), greater than every earlier one of this process.

    Args:
        after: One of another process that it has to be greater than, too.

    The 12 bits after the millisecond count within it (method 1 of section 6.2), and carry into
    the millisecond when they run out or the clock steps back.
    """
    global _last_uuid7
    with _uuid7_lock:
        now = time.time_ns() // 1_000_000 << 12
        if after is not None:
            now = max(now, (after.int >> 80 << 12 | after.int >> 64 & 0xFFF) + 1)
        _last_uuid7 = stamp = max(now, _last_uuid7 + 1)
    millis, count = stamp >> 12, stamp & 0xFFF
    random = int.from_bytes(os.urandom(8)) & (1 << 62) - 1
    return UUID(int=millis << 80 | 7 << 76 | count << 64 | 0b10 << 62 | random)


def utc_now() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)
