"""Journals whose disk is full, in truth or as SQLite sees it."""

import contextlib
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sonora_app.errors import StorageError
from sonora_app.process.store import process_store
from sonora_app.settings import Settings
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import Conversation, Message, utc_now, uuid7

_PLENTY = 1_000_000


async def fill_up(journal: Journal) -> None:
    """Let the journal's file grow no more, as on a disk that is full."""
    await _limit(journal, 1)


async def free_space(journal: Journal) -> None:
    """Let it grow again."""
    await _limit(journal, _PLENTY)


async def set_disk(*, full: bool) -> None:
    """Let the journal of this process take nothing any more, or let it go on."""
    store: Any = await process_store(Settings())
    journal = store if isinstance(store, Journal) else store._journal
    await (_fill_to_the_brim if full else free_space)(journal)


async def _fill_to_the_brim(journal: Journal) -> None:
    """Fill up, and use what room is left in the pages that are there."""
    now = utc_now()
    filler = Conversation(id=uuid7(), user_id="filler", created_at=now, updated_at=now)
    with contextlib.suppress(StorageError):
        await journal.write([filler])
        await fill_up(journal)
        while True:
            message = Message(
                id=uuid7(), conversation_id=filler.id, role="user", content="", created_at=now
            )
            await journal.write([message])


async def _limit(journal: Journal, pages: int) -> None:
    await journal._connection.transact(  # pyright: ignore[reportPrivateUsage]
        lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchall(),
        write=False,
    )


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Generator[bool]:
    """A disk of that size mounted on `folder`. Gives whether this user may mount one."""
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mounting, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
