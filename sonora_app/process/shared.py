"""What all calls of a process share: the store, opened once and closed after the last call."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta

from loguru import logger

from sonora_app.runtime.memory import give_memory_back
from sonora_app.settings import Settings
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.store import Store

_store: Store | None = None
_opening = asyncio.Lock()
_calls: dict[asyncio.Event, Callable[[], Awaitable[None]]] = {}


async def process_store(settings: Settings) -> Store:
    """The store of this process.

    The first call opens it, and closes the sessions that a process which died left open.

    Raises:
        StorageError: It cannot be opened.
    """
    global _store
    async with _opening:
        if _store is None:
            _store = await _open_store(settings)
        return _store


async def _open_store(settings: Settings) -> Store:
    journal = await Journal.connect(settings.journal_path, outbox=settings.uses_supabase)
    closed = await journal.close_orphans()
    if closed:
        logger.warning(f"Closed {len(closed)} sessions that an earlier process left open")
    if not settings.uses_supabase:
        return journal

    from sonora_app.storage.supabase.api import SupabaseApi
    from sonora_app.storage.supabase.unshipped import UnshippedLog
    from sonora_app.storage.two_stores import MirroredStore

    return MirroredStore(
        journal,
        await SupabaseApi.connect(settings),
        keep=timedelta(days=settings.journal_keep_days),
        unshipped=UnshippedLog(journal) if settings.log_unshipped else None,
    )


@contextlib.asynccontextmanager
async def call_in_progress(end: Callable[[], Awaitable[None]]) -> AsyncGenerator[None]:
    """Keep the store open for a call, until its last record is written; then tidy up.

    Args:
        end: Ends the call, when the process is asked to stop.
    """
    done = asyncio.Event()
    _calls[done] = end
    try:
        yield
    finally:
        del _calls[done]
        done.set()
        await asyncio.to_thread(give_memory_back)


async def end_calls() -> None:
    """End every call in progress. Each is kept; its task goes on until it is."""
    for end in [*_calls.values()]:
        await end()


async def close_process_store(settings: Settings) -> None:
    """Wait for the calls in progress to be kept, and close the store."""
    global _store
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(settings.summary_secs + settings.drain_secs):
            for call in [*_calls]:
                await call.wait()
    async with _opening:
        store, _store = _store, None
    if store is not None:
        await store.aclose()
