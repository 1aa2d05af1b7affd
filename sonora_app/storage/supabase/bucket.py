"""Kept files in Supabase Storage: a private bucket, in which each user has a folder."""

import asyncio
from collections.abc import Collection, Iterable, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from sonora_app.storage.files.kept_file import BUCKET, KeptFile, folder_of
from sonora_app.storage.records import uuid7
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.supabase.errors import SupabaseError, Trouble, no_bucket

if TYPE_CHECKING:
    from supabase import AsyncClient

_UPLOAD_SECS = 60.0
"""How long an upload may take."""
_LISTED = 100
"""What one answer lists at most, by default."""
_REMOVED = 100
"""Files that one request removes."""
_ASKED = 100
"""Conversations that one request asks about: their ids stand in its address."""
_AT_ONCE = 10
"""Folders that are listed at the same time."""
_PAGE = 1_000
_NOT_THERE = (400, 404)
"""What Storage answers about a file or a bucket that is not there: 400, with 404 in the body."""


@dataclass(frozen=True)
class BucketFacts:
    """How the bucket is set up.

    Parameters:
        public: Whether anybody may read it.
        file_size_limit: The largest file that it takes, in bytes; None: no limit of its own.
    """

    public: bool
    file_size_limit: int | None


class Bucket:
    """The bucket of a project.

    Every method may raise `SupabaseError`.

    Args:
        api: The project.
    """

    def __init__(self, api: SupabaseApi) -> None:
        """Nothing is asked yet."""
        self._api = api

    async def upload(self, file: KeptFile, content: bytes) -> None:
        """Keep a file there. Again changes nothing."""

        async def work(client: "AsyncClient") -> None:
            await client.storage.from_(BUCKET).upload(
                file.path, content, {"content-type": file.media_type, "upsert": "true"}
            )

        try:
            await self._api.ask(work, timeout_secs=_UPLOAD_SECS)
        except SupabaseError as error:
            if error.status in _NOT_THERE and not await self.exists():
                raise no_bucket() from None
            raise

    async def exists(self) -> bool:
        """Whether the project has the bucket."""
        return await self.facts() is not None

    async def facts(self) -> BucketFacts | None:
        """How the bucket is set up; None where the project has none."""
        try:
            found = await self._api.ask(lambda client: client.storage.get_bucket(BUCKET))
        except SupabaseError as error:
            if error.status in _NOT_THERE:
                return None
            raise
        return BucketFacts(found.public, found.file_size_limit)

    async def try_writing(self) -> None:
        """Write a file of a few bytes, and remove it again."""
        file = KeptFile.of(None, uuid7(), uuid7(), "image/jpeg")
        await self.upload(file, b"sonora doctor")
        await self.remove([file.path])

    async def link(self, file: KeptFile, *, valid_secs: int) -> str | None:
        """An address that gives a file to whoever has it, for some seconds; None: not there."""

        async def work(client: "AsyncClient") -> str | None:
            return (await client.storage.from_(BUCKET).create_signed_url(file.path, valid_secs))[
                "signedUrl"
            ]

        try:
            return await self._api.ask(work)
        except SupabaseError as error:
            if error.status in _NOT_THERE and error.trouble in (Trouble.REFUSED, Trouble.NO_API):
                return None
            raise

    async def of_conversations(self, conversation_ids: Collection[UUID]) -> tuple[str, ...]:
        """The paths of the files of conversations: what messages name, and what else is there."""
        try:
            return tuple(sorted(await self._of_conversations(sorted(map(str, conversation_ids)))))
        except SupabaseError as error:
            return await self._nothing_without_bucket(error)

    async def of_person(self, user_id: str, conversation_ids: Collection[UUID]) -> tuple[str, ...]:
        """The paths of the files in a person's folder and of their conversations."""
        try:
            in_folder = await self._under(folder_of(user_id))
        except SupabaseError as error:
            return await self._nothing_without_bucket(error)
        return tuple(sorted({*in_folder, *await self.of_conversations(conversation_ids)}))

    async def folders(self) -> tuple[str, ...]:
        """The names of the people's folders."""
        try:
            return tuple([row["name"] for row in await self._level("") if row.get("id") is None])
        except SupabaseError as error:
            return await self._nothing_without_bucket(error)

    async def in_folder(self, folder: str) -> tuple[KeptFile, ...]:
        """The files in a person's folder."""
        found = map(KeptFile.at, await self._under(folder))
        return tuple(file for file in found if file is not None)

    async def named(self, conversation_ids: Collection[UUID]) -> Set[UUID]:
        """The ids of the files that messages of these conversations name."""
        return {file.id for file in await self._named(sorted(map(str, conversation_ids)))}

    async def remove(self, paths: Sequence[str]) -> int:
        """Remove files. Those that are not there are passed over. Gives how many there were."""
        removed = 0
        for first in range(0, len(paths), _REMOVED):
            some = list(paths[first : first + _REMOVED])
            removed += len(
                await self._api.ask(
                    lambda client, some=some: client.storage.from_(BUCKET).remove(some)
                )
            )
        return removed

    async def _nothing_without_bucket(self, error: SupabaseError) -> tuple[str, ...]:
        if error.status in _NOT_THERE and not await self.exists():
            return ()
        raise error

    async def _of_conversations(self, ids: list[str]) -> set[str]:
        found: set[str] = set()
        for first in range(0, len(ids), _ASKED):
            some = ids[first : first + _ASKED]
            found |= {file.path for file in await self._named(some)}
            owners = await self._api.rows(
                lambda client, some=some: (
                    client.table("conversations").select("id,user_id").in_("id", some)
                )
            )
            folders = [f"{folder_of(row['user_id'])}/{row['id']}" for row in owners]
            for start in range(0, len(folders), _AT_ONCE):
                listed = await asyncio.gather(*map(self._under, folders[start : start + _AT_ONCE]))
                found |= {path for paths in listed for path in paths}
        return found

    async def _named(self, conversation_ids: list[str]) -> Iterable[KeptFile]:
        """The files that messages of these conversations name."""
        named: list[KeptFile | None] = []
        read = 0
        while True:
            rows = await self._api.rows(
                lambda client, first=read: (
                    client.table("messages")
                    .select("id,images")
                    .in_("conversation_id", conversation_ids)
                    .not_.is_("images", "null")
                    .order("id")
                    .range(first, first + _PAGE - 1)
                )
            )
            if not rows:
                return [file for file in named if file is not None]
            read += len(rows)
            for row in rows:
                images = row["images"]
                if isinstance(images, list):
                    named += map(KeptFile.referred_to, cast(list[object], images))

    async def _under(self, folder: str) -> list[str]:
        """The paths of all files below a folder."""
        paths: list[str] = []
        folders = [folder]
        while folders:
            within = folders.pop()
            for row in await self._level(within):
                # A folder is no object of its own, and has no id.
                below = folders if row.get("id") is None else paths
                below.append(f"{within}/{row['name']}")
        return paths

    async def _level(self, within: str) -> list[dict[str, Any]]:
        """What is in a folder, of which some are folders."""
        rows: list[dict[str, Any]] = []
        while True:
            read = len(rows)
            some = await self._api.ask(
                lambda client, first=read: client.storage.from_(BUCKET).list(
                    within, {"limit": _LISTED, "offset": first}
                )
            )
            rows += some
            if len(some) < _LISTED:
                return rows
