"""The kept files of a store with Supabase: on this machine until they are in Storage."""

from pathlib import Path

from sonora_app.storage.files.files import Found, LocalFiles
from sonora_app.storage.files.kept_file import KeptFile
from sonora_app.storage.side_loop import SideLoop
from sonora_app.storage.supabase.bucket import Bucket

LINK_SECS = 300
"""How long a link is valid: a page asks for it when it shows the file."""


class MirroredFiles:
    """`Files` in a folder, whose files are shipped to a bucket by `FileShipper`.

    Args:
        local: The folder.
        bucket: The bucket.
        aside: The loop for work with Supabase.
    """

    def __init__(self, local: LocalFiles, bucket: Bucket, aside: SideLoop) -> None:
        """Nothing is made or read yet."""
        self._local = local
        self._bucket = bucket
        self._aside = aside

    async def keep(self, file: KeptFile, content: bytes) -> None:
        """See `Files.keep`."""
        await self._local.keep(file, content)

    async def begin(self, file: KeptFile) -> Path:
        """See `Files.begin`."""
        return await self._local.begin(file)

    async def finish(self, file: KeptFile) -> None:
        """See `Files.finish`. It is shipped then; one whose call died, a moment later."""
        await self._local.finish(file)

    async def remove(self, file: KeptFile) -> None:
        """See `Files.remove`."""
        await self._local.remove(file)
        # Whoever was just uploading it has put it there before this.
        async with self._local.folder.in_turn():
            await self._aside.run(self._bucket.remove([file.path]))

    async def find(self, file: KeptFile) -> Found | None:
        """See `Files.find`."""
        here = await self._local.find(file)
        if here is not None:
            return here
        link = await self._aside.run(self._bucket.link(file, valid_secs=LINK_SECS))
        # It may have been shipped between the two, never the other way round.
        return None if link is None else Found(link=link)
