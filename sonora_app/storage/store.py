"""`Store`: what every store can do.

The rest of the project knows a store only by this protocol. Every method is a coroutine that leaves
the event loop free while it works. Every failure is a `StorageError`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from sonora_app.storage.figures import Figures, FiguresWanted
from sonora_app.storage.files.files import Files
from sonora_app.storage.kept_at import KeptAt
from sonora_app.storage.labels import Label
from sonora_app.storage.listing import Listings
from sonora_app.storage.memory_changes import MemoryChanges
from sonora_app.storage.positions import Standing
from sonora_app.storage.recorder import Recorder
from sonora_app.storage.records import (
    Conversation,
    Memory,
    Message,
    Record,
    RecordedCall,
    Session,
    StorageHealth,
    Transition,
)
from sonora_app.storage.requests import RequestKeeping
from sonora_app.storage.tool_calls import ToolCall
from sonora_app.storage.wanted import EVERY, Wanted


@dataclass(frozen=True)
class Opening:
    """What a call needs to know of the conversation it resumes, read in one go.

    Parameters:
        conversation: The conversation.
        messages: Its newest messages, oldest first, deleted ones left out.
        older_messages: How many earlier ones were left out.
        last_message_seq: The highest `seq` of its messages, 0 when there is none.
        last_transition_seq: The highest `seq` of its transitions, 0 when there is none.
        standing: Which call holds it, and where the talk is; None where that was never kept.
        incomplete: Whether records of it wait in memory, of an earlier call of this process.
    """

    conversation: Conversation
    messages: tuple[Message, ...] = ()
    older_messages: int = 0
    last_message_seq: int = 0
    last_transition_seq: int = 0
    standing: Standing | None = None
    incomplete: bool = False


@dataclass(frozen=True)
class Known:
    """What is remembered of a person, as far as it was asked for.

    Parameters:
        memories: The latest first.
        more: Whether there are others that were not read.
        remembers: Whether the person wants to be remembered; None has not said.
        shared: Notes about everybody, from an older project's table.
        unshipped: The ids of those that only the journal is sure to have.
        ended: The ids of memories that ended, or were forgotten, and Supabase may not know it yet.
        chosen_at: When `remembers` was said.
    """

    memories: tuple[Memory, ...] = ()
    more: bool = False
    remembers: bool | None = None
    shared: tuple[str, ...] = ()
    unshipped: frozenset[UUID] = frozenset()
    ended: frozenset[UUID] = frozenset()
    chosen_at: datetime | None = None


@dataclass(frozen=True)
class Recall:
    """Which memories are wanted.

    Parameters:
        limit: How many at most; 0 reads nothing of the person at all.
        past: Whether those that hold no more are wanted too.
        words: Only those in which one of these words stands, in this or a similar spelling.
        shared: Whether the notes about everybody are wanted.
        id: Only the one of this id.
        whole: Whether it is an error where what another store has of them cannot be read.
    """

    limit: int = 0
    past: bool = False
    words: tuple[str, ...] = ()
    shared: bool = False
    id: UUID | None = None
    whole: bool = False


NOTHING = Recall()
"""No memories are wanted."""


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
        known: What is remembered of who asks.
    """

    opening: Opening | None = None
    deleted: bool = False
    previous: Conversation | None = None
    complete: bool = True
    known: Known = Known()


@dataclass(frozen=True)
class Transcript:
    """Everything that is kept of a conversation, each part oldest first.

    Of `labels`, which are in no order, `labels.standing` gives those that were not taken away.
    `kept_at` has the messages whose times the journal on this machine knows, by their ids.
    """

    conversation: Conversation
    sessions: tuple[Session, ...]
    messages: tuple[Message, ...]
    transitions: tuple[Transition, ...]
    tool_calls: tuple[ToolCall, ...] = ()
    labels: tuple[Label, ...] = ()
    kept_at: Mapping[UUID, KeptAt] = field(default_factory=dict[UUID, KeptAt], compare=False)


class Store(Protocol):
    """Where conversations are kept."""

    @property
    def files(self) -> Files:
        """Where the files are kept that people send in them."""
        ...

    @property
    def memory_changes(self) -> MemoryChanges:
        """Tells what is written here of people, by whomever in this process."""
        ...

    @property
    def requests(self) -> RequestKeeping:
        """What the model was asked, as far as this machine keeps it."""
        ...

    def recorder(
        self,
        call: RecordedCall,
        *,
        on_written: Callable[[Record], None],
        on_health: Callable[[StorageHealth, int], None],
    ) -> Recorder:
        """Begin to record a call in this store.

        Args:
            call: What opening the conversation made of it.
            on_written: Told each record once it is written.
            on_health: Told how writing goes when that changes, with how many records wait.
        """
        ...

    def subscribe(
        self,
        on_stored: Callable[[Sequence[UUID]], None],
        on_health: Callable[[StorageHealth, int], None],
    ) -> Callable[[], None]:
        """Be told how what was written comes to where it stays.

        Args:
            on_stored: Told the ids of records that have come there.
            on_health: Told how that goes, with how many records wait: now, if badly, and on a
                change.

        Returns:
            Ends the subscription.
        """
        ...

    async def settle(self, *, timeout_secs: float) -> int:
        """Wait for what was written to come to where it stays.

        Args:
            timeout_secs: How long to wait, in seconds.

        Returns:
            How many records did not come there in time. They are tried again later.
        """
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
        recall: Recall = NOTHING,
        deadline_secs: float | None = None,
    ) -> Found:
        """Read what opening a conversation needs.

        Whether this user may open it is for the caller to say.

        Args:
            conversation_id: Which conversation; None is a new one.
            user_id: Who asks.
            message_limit: How many of its newest messages to read.
            recall: What to read of what is remembered of who asks.
            deadline_secs: When to do without what is not on this machine, or cannot be read:
                what is found then is not complete. None never does without.

        Raises:
            StorageError: It cannot be read.
        """
        ...

    async def found_by_now(
        self, found: Found, conversation_id: UUID, user_id: str, *, message_limit: int
    ) -> Found:
        """What there is by now of a conversation that was found, as far as this machine knows.

        Args:
            found: What was found before.
            conversation_id: The conversation.
            user_id: Who asked.
            message_limit: How many of its newest messages to read.

        Raises:
            StorageError: It cannot be read.
        """
        ...

    async def claim(self, conversation_id: UUID, session_id: UUID, *, within_secs: float) -> bool:
        """Have a call hold a conversation, and wait for the one of another process that held it.

        That one is told by `holder`, and ends by itself.

        Args:
            conversation_id: The conversation, which exists.
            session_id: The call, later than the one that held it.
            within_secs: How long to wait at most, in seconds.

        Returns:
            Whether such a call ended meanwhile: more may be kept of the conversation by now.

        Raises:
            StorageError: It cannot be claimed now.
        """
        ...

    async def holder(self, conversation_id: UUID) -> UUID | None:
        """The call that holds a conversation, as far as is known at once; None is nobody."""
        ...

    async def known(self, user_id: str, recall: Recall) -> Known:
        """Read what is remembered of a person."""
        ...

    async def transcript(self, conversation_id: UUID) -> Transcript | None:
        """Read all that is kept of a conversation, or None when there is no such conversation."""
        ...

    async def tool_calls(self, conversation_id: UUID, *, limit: int) -> tuple[ToolCall, ...]:
        """The newest calls of tools of a conversation, oldest first."""
        ...

    async def conversations(
        self, wanted: Wanted = EVERY, *, limit: int = 50, offset: int = 0
    ) -> Listings:
        """List conversations, the one talked in last first.

        Args:
            wanted: Which.
            limit: How many at most.
            offset: How many of the first to leave out.

        Raises:
            StorageError: They cannot be read.
        """
        ...

    async def figures(self, wanted: FiguresWanted) -> Figures:
        """Add up the calls that are wanted.

        Raises:
            StorageError: They cannot be read.
        """
        ...

    async def aclose(self) -> None:
        """Finish what is under way and let go of the store. Safe to call twice."""
        ...
