"""Removes kept files of this machine that no message names, where there is no other store."""

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
    conversation_ids = {file.conversation_id for file in files}
    named = await journal.outbox.named_files(conversation_ids)
    known = await journal.outbox.whereabouts(conversation_ids)
    async with folder.in_turn():
        await folder.tidy()
        return await folder.remove(
            [
                file
                for file in files
                if file.id not in named
                and not (file.is_sound and known[file.conversation_id].is_here)
                and not known[file.conversation_id].stood_in
                and (await folder.age_secs(file) or 0) > ORPHANED_SECS
            ]
        )
