"""Removes files from Supabase Storage that no message names.

Such a file is left where a call was killed between keeping it and recording its message, and where
somebody removed rows from the database by hand.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sonora_app.storage.files.kept_file import KeptFile
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import utc_now
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.supabase.bucket import Bucket

LEFT_FOR = timedelta(days=7)
"""How old a file has to be. The message that names it may wait in the journal of another machine,
while Supabase's database does not answer."""

_AT_A_TIME = 100


async def remove_unnamed(
    api: SupabaseApi, journal: Journal | None, *, left_for: timedelta = LEFT_FOR
) -> int:
    """Remove them. Gives how many there were.

    Args:
        api: The project.
        journal: This machine's, whose messages may name files too; None where there is none.
        left_for: How old a file has to be.

    Raises:
        StorageError: The project or the journal does not answer. Some of them may be gone.
    """
    bucket = Bucket(api)
    before = utc_now() - left_for
    removed = 0
    for folder in await bucket.folders():
        old = [file for file in await bucket.in_folder(folder) if _made_before(file, before)]
        for first in range(0, len(old), _AT_A_TIME):
            some = old[first : first + _AT_A_TIME]
            ids = {file.conversation_id for file in some}
            named: set[UUID] = {*await bucket.named(ids)}
            if journal is not None:
                named |= await journal.outbox.named_files(ids)
            sounds = sorted(str(file.id) for file in some if file.is_sound)
            if sounds:
                calls = await api.rows(
                    lambda client, ids=sounds: client.table("sessions").select("id").in_("id", ids)
                )
                named |= {UUID(row["id"]) for row in calls}
            removed += await bucket.remove([file.path for file in some if file.id not in named])
    return removed


def _made_before(file: KeptFile, moment: datetime) -> bool:
    """Whether a file's id, a UUIDv7, says that it is older."""
    made_at = datetime.fromtimestamp((file.id.int >> 80) / 1000, UTC)
    return file.id.version == 7 and made_at < moment
