"""What a person showed: a picture or a document, as the bot keeps it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from sonora_app.errors import ErrorCode, SonoraError
from sonora_app.storage.records import uuid7


class AttachmentKind(StrEnum):
    """What an attachment is to the model: something to see, or something to read."""

    PICTURE = "picture"
    DOCUMENT = "document"


@dataclass(frozen=True)
class Attachment:
    """A picture or a document, read and within its limits.

    Parameters:
        kind: What it is.
        media_type: Of `data`, such as `image/jpeg`.
        name: What the person calls it. May hold anything but control characters and slashes.
        data: The bytes to keep: a picture as it was made small, a document as it came.
        width: Of a picture, in pixels.
        height: Of a picture, in pixels.
        text: Of a document, what it says, within the limit; empty for a picture.
        text_chars: How many characters the document's whole text has, as far as it was read.
        id: UUIDv7, made by the bot.
    """

    kind: AttachmentKind
    media_type: str
    name: str
    data: bytes = field(repr=False)
    width: int = 0
    height: int = 0
    text: str = field(default="", repr=False)
    text_chars: int = 0
    id: UUID = field(default_factory=uuid7)


class Keeper(Protocol):
    """Keeps attachments: in the data folder, or in the project's Storage."""

    def entry(self, attachment: Attachment, conversation_id: UUID, user_id: str | None) -> Any:  # noqa: ANN401  # JSON
        """What stands for the attachment in the message's `images`. Known before it is kept."""
        ...

    async def keep(
        self, attachment: Attachment, conversation_id: UUID, user_id: str | None
    ) -> None:
        """Keep an attachment. The call goes on meanwhile, and does not wait.

        Raises:
            SonoraError: It cannot be kept, and will not be.
        """
        ...


class FileError(SonoraError):
    """A file that the person sent cannot be used.

    Args:
        code: `file_too_large`, `file_unsupported` or `file_unreadable`.
        message: One sentence for the person.
        hint: What to do about it.
    """

    def __init__(self, code: ErrorCode, message: str, *, hint: str = "") -> None:
        """Take the code per instance."""
        super().__init__(message, hint=hint)
        self.code = code
