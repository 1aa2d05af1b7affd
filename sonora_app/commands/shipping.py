"""What `sonora sync` does: ships records to Supabase, and shows the progress."""

import asyncio
from contextlib import suppress
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sonora_app.commands.stores import check_schema
from sonora_app.errors import StorageError
from sonora_app.settings import Settings
from sonora_app.storage.journal.database import nothing_kept
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.journal.outbox_rows import Counts
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.supabase.file_shipper import FileShipper
from sonora_app.storage.supabase.shipper import LARGEST_BATCH, Shipper
from sonora_app.storage.supabase.unshipped import read_unshipped
from sonora_app.wording.translation import say, worded

_LOOK_SECS = 0.1
_FILES_SECS = 1.0


async def ship(settings: Settings) -> tuple[int, Counts, int]:
    """Ship until nothing waits.

    Returns:
        How many were shipped, what is left, and how many were refused meanwhile.

    Raises:
        SonoraError: Supabase or the journal cannot be used, or does not get on.
    """
    if not settings.journal_path.is_file():
        raise nothing_kept(settings.journal_path)
    api = await _connected(settings)
    try:
        journal = await Journal.connect(settings.journal_path, outbox=True)
        try:
            # Of bots that died before they could say how their calls ended.
            await journal.close_orphans()
            before = await journal.outbox.counts()
            shipper = Shipper(journal, api)
            shipping = asyncio.create_task(shipper.run())
            try:
                left = await _watch(journal, shipper, shipping, before)
                await _ship_files(journal, api)
            finally:
                shipping.cancel()
                with suppress(asyncio.CancelledError):
                    await shipping
            refused = max(0, left.set_aside - before.set_aside)
            return max(0, before.pending - left.pending - refused), left, refused
        finally:
            await journal.aclose()
    finally:
        await api.aclose()


async def _watch(
    journal: Journal, shipper: Shipper, shipping: "asyncio.Task[None]", before: Counts
) -> Counts:
    """Show how shipping goes until nothing waits; give what is left."""
    with _progress() as progress:
        task = progress.add_task(say("Shipping"), total=before.pending)
        while True:
            left = await journal.outbox.counts()
            total = max(before.pending, left.pending)
            progress.update(task, completed=total - left.pending, total=total)
            if not left.pending:
                return left
            if shipping.done():
                shipping.result()
            if shipper.health == "failing" and shipper.last_error is not None:
                raise StorageError(
                    worded(
                        "Still waiting: {count}. {problem}",
                        count=left.pending,
                        problem=shipper.last_error.message,
                    ),
                    hint=shipper.last_error.hint or worded("They are kept; run this again later."),
                )
            if not shipper.ships and shipper.health != "ok":
                raise StorageError(
                    worded(
                        "Still waiting: {count}. Another process is shipping, and does not get on.",
                        count=left.pending,
                    ),
                    hint=worded("Its log says why. They are kept."),
                )
            await asyncio.sleep(_LOOK_SECS)


async def _ship_files(journal: Journal, api: SupabaseApi) -> None:
    """Ship the files that people sent, until none waits."""
    shipper = FileShipper(journal.files.folder, journal, api)
    shipping = asyncio.create_task(shipper.run())
    try:
        while left := await shipper.drain(_FILES_SECS):
            if shipper.is_failing and shipper.last_error is not None:
                raise StorageError(
                    worded(
                        "Files still waiting: {count}. {problem}",
                        count=left,
                        problem=shipper.last_error.message,
                    ),
                    hint=shipper.last_error.hint or worded("They are kept; run this again later."),
                )
    finally:
        shipping.cancel()
        with suppress(asyncio.CancelledError):
            await shipping


async def restore(settings: Settings, log: Path) -> tuple[int, list[tuple[int, str]]]:
    """Bring to Supabase what `SONORA_LOG_UNSHIPPED` wrote to a log.

    Returns:
        How many records were applied; and the lines that were refused, with the reasons.

    Raises:
        SonoraError: Supabase cannot be used, or the log cannot be read or understood.
    """
    api = await _connected(settings)
    applied = 0
    refused: list[tuple[int, str]] = []
    try:
        with log.open(encoding="utf-8", errors="replace") as lines:
            entries = read_unshipped(lines)
            while batch := list(islice(entries, LARGEST_BATCH)):
                results = await api.apply(batch)
                refused += [
                    (entry.position, refusal.reason)
                    for entry, refusal in zip(batch, results, strict=True)
                    if refusal is not None
                ]
                applied += sum(refusal is None for refusal in results)
    except OSError as error:
        raise StorageError(
            worded("{file} cannot be read: {error}", file=log, error=error.strerror)
        ) from None
    except ValueError as error:
        raise StorageError(
            worded("{file} cannot be used: {error}.", file=log, error=error),
            hint=worded(
                "The lines before it were brought to Supabase. Mend or remove it, and run again."
            ),
        ) from None
    finally:
        await api.aclose()
    return applied, refused


async def _connected(settings: Settings) -> SupabaseApi:
    """The project, when it answers and has the schema it needs."""
    api = await SupabaseApi.connect(settings)
    try:
        await check_schema(api)
    except BaseException:
        await api.aclose()
        raise
    return api


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
