"""The store of a process: opened once, shared by all its calls, closed after the last."""

import asyncio
import contextlib
from datetime import timedelta

from loguru import logger

from sonora_app.errors import StorageError
from sonora_app.process.calls import calls
from sonora_app.process.erasures import stop_watching, watch_for_erasures
from sonora_app.process.reports import reports
from sonora_app.settings import Settings
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.orphaned_files import remove_orphans
from sonora_app.storage.store import Store

_store: Store | None = None
_opening = asyncio.Lock()
_tidying: asyncio.Task[None] | None = None


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
            watch_for_erasures(settings)
        return _store


async def _open_store(settings: Settings) -> Store:
    global _tidying
    journal = await Journal.connect(settings.journal_path, outbox=settings.uses_supabase)
    closed = await journal.close_orphans()
    if closed:
        logger.warning(f"Closed {len(closed)} sessions that an earlier process left open")
    await reports.start(journal, settings)
    if settings.log_unshipped:
        from sonora_app.storage.supabase.unshipped import log_records

        journal.unwritten.to_log = log_records
    if not settings.uses_supabase:
        _tidying = asyncio.create_task(_tidy_files(journal), name="sonora-tidy-files")
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


async def _tidy_files(journal: Journal) -> None:
    try:
        removed = await remove_orphans(journal)
    except StorageError as error:
        logger.warning(f"Kept files cannot be looked through: {error}")
    else:
        if removed:
            logger.warning(f"Removed {removed} kept files whose conversation is not there any more")


async def close_process_store(settings: Settings) -> None:
    """Wait for the calls in progress to be kept, and close the store."""
    global _store
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(settings.summary_secs + settings.drain_secs):
            await calls.settled()
    await stop_watching()
    await reports.stop()
    if _tidying is not None:
        _tidying.cancel()
        await asyncio.gather(_tidying, return_exceptions=True)
    async with _opening:
        store, _store = _store, None
    if store is not None:
        await store.aclose()
