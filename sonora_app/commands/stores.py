"""The stores that the commands read: the journal, and Supabase if it is configured."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import typer

from sonora_app.errors import StorageError
from sonora_app.settings import Settings
from sonora_app.storage import removal
from sonora_app.storage.journal.database import nothing_kept
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.supabase.api import REQUIRED_SCHEMA, SupabaseApi
from sonora_app.storage.supabase.errors import SupabaseError, old_schema
from sonora_app.wording.translation import say, worded


@asynccontextmanager
async def opened(
    settings: Settings, *, read_only: bool
) -> AsyncGenerator[tuple[Journal | None, SupabaseApi | None]]:
    """The journal, None where there is none yet, and the project, None where none is configured.

    Raises:
        StorageError: There is neither, or the journal cannot be opened.
        SettingsError: Supabase is set by half, or not as it can be used.
    """
    async with AsyncExitStack() as stack:
        api = None
        if settings.uses_supabase:
            api = await SupabaseApi.connect(settings)
            stack.push_async_callback(api.aclose)
        journal = None
        if settings.journal_path.is_file() or api is None:
            if not settings.journal_path.is_file():
                raise nothing_kept(settings.journal_path)
            journal = await Journal.connect(settings.journal_path, read_only=read_only)
            stack.push_async_callback(journal.aclose)
        yield journal, api


@asynccontextmanager
async def writable(
    settings: Settings, *, begin: bool = False
) -> AsyncGenerator[tuple[Journal, SupabaseApi | None]]:
    """The journal, to write to, and the project, to read from.

    Args:
        settings: Where they are.
        begin: Whether a journal is begun where nothing is kept yet, here or in a project.

    Raises:
        StorageError: Nothing is kept yet, or the journal cannot be opened.
        SettingsError: Supabase is set by half, or not as it can be used.
    """
    if not (begin or settings.uses_supabase or settings.journal_path.is_file()):
        raise nothing_kept(settings.journal_path)
    async with AsyncExitStack() as stack:
        api = await SupabaseApi.connect(settings) if settings.uses_supabase else None
        if api is not None:
            stack.push_async_callback(api.aclose)
        journal = await Journal.connect(settings.journal_path, outbox=settings.uses_supabase)
        stack.push_async_callback(journal.aclose)
        yield journal, api


async def check_schema(api: SupabaseApi) -> None:
    """Refuse to work with a project that lacks what this version of Sonora needs.

    Raises:
        SupabaseError: It does, or does not answer.
    """
    if await api.schema_version() < REQUIRED_SCHEMA:
        raise old_schema()


@asynccontextmanager
async def removable(settings: Settings) -> AsyncGenerator[removal.Stores]:
    """The stores, opened to remove conversations from.

    Raises:
        StorageError: There is none, or one cannot be used; nothing was deleted.
        SettingsError: Supabase is set by half, or not as it can be used.
    """
    async with opened(settings, read_only=False) as (journal, api):
        if api is not None:
            try:
                await check_schema(api)
            except SupabaseError as error:
                raise StorageError(
                    worded("{problem} Nothing was deleted.", problem=error.message),
                    hint=error.hint or worded("Run it again when Supabase can be reached."),
                ) from None
        yield removal.Stores(journal, api, timedelta(seconds=settings.longest_call_secs))


def tell_waiting(api: SupabaseApi | None) -> None:
    """Tell on stderr how what was written comes to Supabase, where there is one."""
    if api is not None:
        typer.echo(
            say(
                "It waits here to be brought to Supabase: by a bot that runs, or "
                "`uv run sonora sync`."
            ),
            err=True,
        )


def warn_partial(error: SupabaseError) -> None:
    """Tell on stderr that what is shown is the journal's alone, and why."""
    problem = say(error.message)
    typer.echo(
        say(
            "This is from the journal alone, and may lack what others wrote: {problem}",
            problem=problem,
        ),
        err=True,
    )
