"""Which calls there are, by either store: enough to name one."""

from typing import ClassVar
from uuid import UUID

from pydantic import AwareDatetime

from sonora_app.storage.records import Record


class KnownCall(Record):
    """A call, and the conversation that it belongs to."""

    table: ClassVar[str] = "sessions"

    id: UUID
    conversation_id: UUID
    started_at: AwareDatetime
