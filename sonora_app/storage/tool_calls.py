"""What the bot did with its tools: the calls that it made of them, and how each ended."""

from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from pydantic import AwareDatetime, Field

from sonora_app.storage.records import JsonObject, Record

RESULT_CHARS = 4_000
"""How much is kept of what a tool answered."""


class ToolStatus(StrEnum):
    """How far a call of a tool has come.

    `unknown` is a call of which nobody can say whether it was executed: no answer came in time, the
    connection was lost, or the process died.
    """

    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CALLED_OFF = "called_off"


class ToolCall(Record):
    """One call of a tool.

    `arguments` are kept without what must not be, such as a secret; whoever calls the tool takes
    that out. `message_id` is the turn that asked for it, where there is one.
    """

    table: ClassVar[str] = "tool_calls"

    id: UUID
    conversation_id: UUID
    session_id: UUID
    message_id: UUID | None = None
    name: str
    arguments: JsonObject = Field(default_factory=dict)
    status: ToolStatus = ToolStatus.STARTED
    result: str | None = None
    idempotency_key: str
    started_at: AwareDatetime
    ended_at: AwareDatetime | None = None

    @property
    def secs(self) -> float | None:
        """How long it took, in seconds; None where it has not ended, or nobody knows when."""
        if self.ended_at is None or self.status is ToolStatus.UNKNOWN:
            return None
        return max(0.0, (self.ended_at - self.started_at).total_seconds())


class ToolCallUpdate(Record):
    """The end of a call of a tool. The first end counts; only after `unknown` may another come."""

    table: ClassVar[str] = "tool_calls"

    id: UUID
    conversation_id: UUID
    message_id: UUID | None = None
    status: ToolStatus
    result: str | None = None
    ended_at: AwareDatetime


def kept_of(result: str | None) -> str | None:
    """What is kept of what a tool answered."""
    if result is None or len(result) <= RESULT_CHARS:
        return result
    return f"{result[: RESULT_CHARS - 1]}…"
