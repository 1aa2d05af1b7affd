"""What shipping needs of the place that it ships to."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from sonora_app.storage.journal.outbox_rows import Entry
from sonora_app.storage.store import Found
from sonora_app.storage.supabase.errors import Refusal


class Destination(Protocol):
    """Where entries are shipped to: `SupabaseApi`, or a stand-in for it."""

    async def apply(self, entries: Sequence[Entry]) -> tuple[Refusal | None, ...]:
        """Apply entries in order, or raise `SupabaseError`. Says why each is refused, if so."""
        ...

    async def schema_version(self) -> int:
        """Answer something that depends on no content, or raise `SupabaseError`."""
        ...

    async def look_up(
        self, conversation_id: UUID | None, user_id: str | None, *, message_limit: int
    ) -> Found:
        """Say what there is of a conversation, or raise `SupabaseError`."""
        ...
