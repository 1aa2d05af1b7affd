"""Removes kept files of this machine whose conversation is gone, where there is no other store."""

from sonora_app.storage.files.folder import ORPHANED_SECS
from sonora_app.storage.journal.journal import Journal


async def remove_orphans(journal: Journal) -> int:
    """Remove them, and what was left half written. Gives how many files went.

    An erasure may come between keeping a file and recording its message, and a call may end before
    it could be recorded.

    Raises:
        StorageError: Some of them may be there still.
    """
    folder = journal.files.folder
    files = await folder.files()
    known = await journal.outbox.whereabouts({file.conversation_id for file in files})
    async with folder.in_turn():
        await folder.tidy()
        return await folder.remove(
            [
                file
                for file in files
                if not known[file.conversation_id].is_here
                and (await folder.age_secs(file) or 0) > ORPHANED_SECS
            ]
        )
