"""What a store can do.

The rest of the project knows a store only by this. Every method is a coroutine that leaves the
event loop free while it works, and every failure is a `StorageError`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol
from uuid import UUID

from sonora_app.storage.records import (
    Conversation,
    Message,
    Record,
    Session,
    Transition,
)
from sonora_app.storage.side_loop import SideLoop

StorageHealth = Literal["ok", "delayed", "failing"]
"""How writing goes."""


@dataclass(frozen=True)
class Opening:
    """What a call needs to know of the conversation it resumes, read in one go.

    Parameters:
        conversation: The conversation.
        messages: Its newest messages, oldest first, deleted ones left out.
        older_messages: How many earlier ones were left out.
        last_message_seq: The highest `seq` of its messages, 0 when there is none.
        last_transition_seq: The highest `seq` of its transitions, 0 when there is none.
    """

    conversation: Conversation
    messages: tuple[Message, ...] = ()
    older_messages: int = 0
    last_message_seq: int = 0
    last_transition_seq: int = 0


@dataclass(frozen=True)
class Found:
    """What there is when a conversation is to be opened.

    Parameters:
        opening: The conversation, or None when there is none with this id. Of another user's
            it may have no more than whose it is.
        deleted: Whether its owner deleted it.
        previous: The conversation that this user talked in last, other than this one.
        complete: Whether everything was read. If not, there may be a conversation where
            `opening` is None, and more of it, or a later one, where it is not.
    """

    opening: Opening | None = None
    deleted: bool = False
    previous: Conversation | None = None
    complete: bool = True


@dataclass(frozen=True)
class Listing:
    """A conversation as a list shows it."""

    conversation: Conversation
    messages: int


@dataclass(frozen=True)
class Transcript:
    """Everything that is kept of a conversation, each part oldest first."""

    conversation: Conversation
    sessions: tuple[Session, ...]
    messages: tuple[Message, ...]
    transitions: tuple[Transition, ...]


class Store(Protocol):
    """Where conversations are kept."""

    @property
    def side(self) -> SideLoop:
        """The loop to write from, where what goes with writing does not hold up calls."""
        ...

    async def write(self, records: Sequence[Record]) -> None:
        """Write `records` in order, all or none. Writing a record again changes nothing.

        Raises:
            RecordRefusedError: Nothing was written, and one of them never will be.
            StorageError: Nothing was written; the same records may be written later.
        """
        ...

    async def look_up(
        self,
        conversation_id: UUID | None,
        user_id: str,
        *,
        message_limit: int,
        deadline_secs: float | None = None,
    ) -> Found:
        """Read what opening a conversation needs.

        Whether this user may open it is for the caller to say.

        Args:
            conversation_id: Which conversation; None is a new one.
            user_id: Who asks.
            message_limit: How many of its newest messages to read.
            deadline_secs: When to do without what is not on this machine, or cannot be read:
                what is found then is not complete. None never does without.

        Raises:
            StorageError: It cannot be read.
        """
        ...

    async def transcript(self, conversation_id: UUID) -> Transcript | None:
        """Read all that is kept of a conversation, or None when there is no such conversation.

        Raises:
            StorageError: It cannot be read.
        """
        ...

    async def conversations(
        self, *, user_id: str | None = None, limit: int = 50
    ) -> tuple[Listing, ...]:
        """List conversations, the one talked in last first.

        Args:
            user_id: Only this user's; None lists everyone's.
            limit: How many at most.

        Raises:
            StorageError: They cannot be read.
        """
        ...

    async def aclose(self) -> None:
        """Finish what is under way and let go of the store. Safe to call twice."""
        ...
