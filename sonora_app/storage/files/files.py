"""The kept files of a store: what a call and the console do with them."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

from sonora_app.storage.files.folder import FileFolder
from sonora_app.storage.files.kept_file import KeptFile


@dataclass(frozen=True)
class Found:
    """Where a kept file is.

    Parameters:
        link: An address that gives it to whoever has it, for a short time; None: it is on this
            machine.
        path: Where it is on this machine; None: it is behind the link.
    """

    link: str | None = None
    path: Path | None = None


class Files(Protocol):
    """The kept files of a store. Every method may raise `StorageError`."""

    async def keep(self, file: KeptFile, content: bytes) -> None:
        """Keep a file. Done when it is on the disk of this machine; nothing waits for Supabase."""
        ...

    async def begin(self, file: KeptFile) -> Path:
        """Begin a file that grows, and tell where it is to be written. It is empty."""
        ...

    async def finish(self, file: KeptFile) -> None:
        """A file that grew is whole: it may go where the others go."""
        ...

    async def remove(self, file: KeptFile) -> None:
        """Remove a file, wherever it is. One that is not kept any more stays so."""
        ...

    async def find(self, file: KeptFile) -> Found | None:
        """A file, or a link to it; None where it is not kept any more."""
        ...


class LocalFiles:
    """`Files` in a folder of this machine.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        """Nothing is made or read yet."""
        self.folder = FileFolder(folder)

    async def keep(self, file: KeptFile, content: bytes) -> None:
        """See `Files.keep`."""
        await self.folder.keep(file, content)

    async def begin(self, file: KeptFile) -> Path:
        """See `Files.begin`."""
        return await self.folder.begin(file)

    async def finish(self, file: KeptFile) -> None:
        """See `Files.finish`."""
        await self.folder.finish(file)

    async def remove(self, file: KeptFile) -> None:
        """See `Files.remove`."""
        await self.folder.remove([file])

    async def find(self, file: KeptFile) -> Found | None:
        """See `Files.find`."""
        path = await self.folder.find(file)
        return None if path is None else Found(path=path)

    async def remove_of(self, conversation_ids: Collection[UUID]) -> int:
        """Remove the files of conversations. Gives how many there were."""
        files = await self.folder.files()
        return await self.folder.remove(
            [each for each in files if each.conversation_id in conversation_ids]
        )
