"""What all calls of a process share: the store, opened once."""

import asyncio

from loguru import logger

from sonora_app.conversation.journal import Journal
from sonora_app.conversation.store import Store
from sonora_app.settings import Settings

_store: Store | None = None
_opening: asyncio.Lock = asyncio.Lock()


async def process_store(settings: Settings) -> Store:
    """The store of this process.

    The first call opens it, and closes the sessions that a process which died left open.

    Raises:
        StorageError: It cannot be opened.
    """
    global _store
    async with _opening:
        if _store is None:
            journal = await Journal.connect(settings.journal_path)
            closed = await journal.close_orphans()
            if closed:
                logger.warning(f"Closed {len(closed)} sessions that an earlier process left open")
            _store = journal
        return _store


async def close_process_store() -> None:
    """Close the store, if it was opened."""
    global _store
    async with _opening:
        store, _store = _store, None
    if store is not None:
        await store.aclose()
