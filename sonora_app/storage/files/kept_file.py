"""What a kept file is called, in the data folder, in Supabase Storage, and in its message."""

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote
from uuid import UUID

BUCKET = "sonora-files"
"""The private bucket in Supabase Storage. Its migration has the name too."""

SOUND = "audio/ogg"
"""The media type of the sound of a call."""

MEDIA_TYPES = {
    "jpg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "ogg": SOUND,
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}
"""The media type of each ending. Nothing else is kept."""

_ENDINGS = {media_type: ending for ending, media_type in MEDIA_TYPES.items()}
_LONGEST_FOLDER = 120
"""Characters of a folder's name; file systems take 255 bytes."""
_NOBODY = "="
_UNSAFE = re.compile(r"[^a-z0-9_-]")
_FOLDER = re.compile(r"[a-z0-9_=A-F-]{1,120}")


@dataclass(frozen=True)
class KeptFile:
    """A file that was sent in a conversation.

    Parameters:
        folder: The name of its owner's folder, see `folder_of`.
        conversation_id: The conversation that it was sent in.
        id: Its id.
        ending: What its name ends with, a key of `MEDIA_TYPES`.
    """

    folder: str
    conversation_id: UUID
    id: UUID
    ending: str

    @classmethod
    def of(
        cls, user_id: str | None, conversation_id: UUID, file_id: UUID, media_type: str
    ) -> "KeptFile":
        """The file that a person sent in a conversation.

        Raises:
            ValueError: Files of this media type are not kept.
        """
        ending = _ENDINGS.get(media_type)
        if ending is None:
            raise ValueError(f"Files of the type {media_type} are not kept.")
        return cls(folder_of(user_id), conversation_id, file_id, ending)

    @classmethod
    def at(cls, path: str) -> "KeptFile | None":
        """The file at a path as `path` gives it; None where none of ours can be."""
        folder, *rest = path.split("/")
        if len(rest) != 2 or not _FOLDER.fullmatch(folder):
            return None
        name, _, ending = rest[1].partition(".")
        try:
            file = cls(folder, UUID(rest[0]), UUID(name), ending)
        except ValueError:
            return None
        return file if ending in MEDIA_TYPES and file.path == path else None

    @classmethod
    def referred_to(cls, reference: object) -> "KeptFile | None":
        """The file that an entry of `messages.images` names; None where it names none of ours."""
        if not isinstance(reference, str) or not reference.startswith(f"{BUCKET}/"):
            return None
        return cls.at(reference.removeprefix(f"{BUCKET}/").partition("#")[0])

    @property
    def path(self) -> str:
        """Its path in the bucket, and below the folder of files on this machine."""
        return f"{self.folder}/{self.conversation_id}/{self.id}.{self.ending}"

    def reference(self, name: str) -> str:
        """What its message names it by, in `images`: its place, and after `#` its name.

        No link: links end, and are made when they are needed. A text, since in some older projects
        the column is a list of texts.

        Args:
            name: What the person calls it.
        """
        return f"{BUCKET}/{self.path}#{quote(name)}"

    @property
    def media_type(self) -> str:
        """Its media type."""
        return MEDIA_TYPES[self.ending]

    @property
    def is_sound(self) -> bool:
        """Whether it is the sound of a call. Its id is then that of the call."""
        return self.media_type == SOUND

    @property
    def is_picture(self) -> bool:
        """Whether it is a picture."""
        return self.media_type.startswith("image/")


def folder_of(user_id: str | None) -> str:
    """The name of a user's folder.

    The id of a user of Supabase Auth stays as it is, since the bucket's policy compares the two. In
    other names, what a file system or Storage may not take, or take for another letter, becomes
    `=` and its number.
    """
    if user_id is None:
        return _NOBODY
    folder = _UNSAFE.sub(
        lambda found: "".join(f"={byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass")),
        user_id,
    )
    if 0 < len(folder) <= _LONGEST_FOLDER:
        return folder
    digest = hashlib.sha256(user_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{folder[:40]}={digest}"


def name_in(reference: str) -> str:
    """What the person calls the file that an entry of `messages.images` names; may be empty."""
    return unquote(reference.partition("#")[2])
