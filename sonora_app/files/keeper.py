"""Keeps attachments with the store's other records."""

from uuid import UUID

from sonora_app.files.attachment import Attachment
from sonora_app.storage.files.files import Files
from sonora_app.storage.files.kept_file import KeptFile


class StoreKeeper:
    """A `Keeper` that keeps attachments where the conversation is kept.

    Args:
        files: The files of the store.
    """

    def __init__(self, files: Files) -> None:
        """Nothing is kept yet."""
        self._files = files

    def entry(self, attachment: Attachment, conversation_id: UUID, user_id: str | None) -> str:
        """See `Keeper.entry`: its place and its name. A link is made when somebody looks."""
        kept = _kept(attachment, conversation_id, user_id)
        return kept.reference(attachment.name)

    async def keep(
        self, attachment: Attachment, conversation_id: UUID, user_id: str | None
    ) -> None:
        """See `Keeper.keep`: it is kept once it is on the disk of this machine.

        Raises:
            StorageError: It cannot be written.
        """
        await self._files.keep(_kept(attachment, conversation_id, user_id), attachment.data)


def _kept(attachment: Attachment, conversation_id: UUID, user_id: str | None) -> KeptFile:
    return KeptFile.of(user_id, conversation_id, attachment.id, attachment.media_type)
