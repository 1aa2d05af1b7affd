"""Where a conversation stands: which call holds it, and at which point of the flow the talk is.

A conversation is held by one call at a time, the one that began last. Session ids are in the order
of time, so the greatest id holds it. What an earlier call still writes changes nothing of it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import AwareDatetime, Field

from sonora_app.storage.records import EndReason, Record

STATE_CHARS = 2_000
"""How long a text of the flow's state may be that is kept."""


class Position(Record):
    """Which call holds a conversation, and where the talk is.

    `state` is what the prompts of the flow need to go on, and `saying`
    the fixed line that the bot was about to speak.
    """

    table: ClassVar[str] = "positions"

    conversation_id: UUID
    session_id: UUID
    node: str
    state: dict[str, str] = Field(default_factory=dict[str, str])
    saying: str | None = None
    updated_at: AwareDatetime


@dataclass(frozen=True)
class Standing:
    """A position, and what became of the call that it was kept by.

    Parameters:
        position: The position.
        ended_at: When the call ended; None goes on, as far as is known.
        end_reason: Why it ended.
    """

    position: Position
    ended_at: datetime | None = None
    end_reason: EndReason | None = None

    @property
    def last_sign_at(self) -> datetime:
        """When it was last known that the call was there."""
        return max(self.position.updated_at, self.ended_at or self.position.updated_at)


def later_standing(one: Standing | None, other: Standing | None) -> Standing | None:
    """What two stores know together of where a conversation stands."""
    if one is None or other is None:
        return one or other
    first, second = sorted(
        (one, other), key=lambda each: (each.position.session_id, each.position.updated_at)
    )
    if first.position.session_id != second.position.session_id:
        return second
    ended = second if second.ended_at is not None else first
    return Standing(second.position, ended.ended_at, ended.end_reason)
