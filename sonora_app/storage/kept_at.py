"""When a message was kept, and where: for whoever looks into a call; no part of what was said."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class KeptAt:
    """When a message was kept, by the clock of the machine whose journal it is in.

    Parameters:
        written_at: When it was written to the journal; it is on the disk some milliseconds later.
        stored_at: When Supabase had confirmed that it has it; None where it has not.
    """

    written_at: datetime
    stored_at: datetime | None = None
