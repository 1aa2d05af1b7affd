"""Which conversations are wanted of a store."""

from dataclasses import dataclass
from datetime import datetime

from sonora_app.storage.records import ConversationStatus


@dataclass(frozen=True)
class Wanted:
    """Which conversations a list has.

    Parameters:
        user_id: This user's; None: everyone's.
        status: Those that stand so; None: all.
        since: Those talked in since, or begun since where nobody talked yet; None: all.
    """

    user_id: str | None = None
    status: ConversationStatus | None = None
    since: datetime | None = None


EVERY = Wanted()
"""All conversations."""
