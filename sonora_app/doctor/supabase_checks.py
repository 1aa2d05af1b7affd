"""Checks that the Supabase project fits Sonora, for `sonora doctor` and when the bot starts."""

import asyncio
import threading
from urllib.parse import urlsplit

from loguru import logger

from sonora_app.errors import SettingsError, StorageError
from sonora_app.identity.callers import Finding
from sonora_app.settings import Settings
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.supabase.api import REQUIRED_SCHEMA, SupabaseApi
from sonora_app.storage.supabase.errors import MIGRATE, SupabaseError, old_schema
from sonora_app.wording.translation import worded


async def examine_project(settings: Settings) -> Finding:
    """How the project is, for `sonora doctor`. Asks it for its schema, and changes nothing."""
    try:
        if not settings.uses_supabase:
            return _not_used(settings)
        api = await SupabaseApi.connect(settings)
    except SettingsError as error:
        return "problem", error.message, error.hint
    try:
        version = await api.schema_version()
        older_tables = not version and await api.has_older_tables()
    except SupabaseError as error:
        advice = error.hint or worded("Check SUPABASE_URL, and that the project is running.")
        return "problem", error.message, advice
    finally:
        await api.aclose()
    if version >= REQUIRED_SCHEMA:
        host = urlsplit(settings.supabase_url.strip()).hostname
        return "ok", worded("{host}, schema {version}", host=host, version=version), ""
    if version:
        found = worded(
            "its schema is {version}, and this version of Sonora needs {needed}",
            version=version,
            needed=REQUIRED_SCHEMA,
        )
    elif older_tables:
        found = worded("it has the tables of the text-chat API, and nothing of Sonora's yet")
        advice = worded("{migrate} They add to those tables, and rewrite no row.", migrate=MIGRATE)
        return "problem", found, advice
    else:
        found = worded("it has none of the tables that Sonora needs")
    return "problem", found, MIGRATE


async def examine_outbox(settings: Settings) -> Finding | None:
    """What is on its way to Supabase, for `sonora doctor`.

    None where there is no journal that can be read, or nothing in it that is to go anywhere.
    """
    try:
        journal = await Journal.connect(settings.journal_path, read_only=True)
        try:
            counts = await journal.outbox.counts()
        finally:
            await journal.aclose()
    except StorageError:
        return None
    if not counts.pending and not counts.set_aside:
        return ("ok", worded("nothing waits for Supabase"), "") if settings.supabase_url else None
    found = worded(
        "{pending} records wait for Supabase, {refused} were refused",
        pending=counts.pending,
        refused=counts.set_aside,
    )
    advice = worded(
        "A running bot ships what waits, or `uv run sonora sync`; `uv run sonora sync list` shows "
        "what was refused, and why."
    )
    return "note", found, advice


def report_schema_aside(settings: Settings) -> None:
    """Start a thread that does what `report_schema` does, and keeps nobody waiting."""
    threading.Thread(
        target=lambda: asyncio.run(report_schema(settings)), name="sonora-schema", daemon=True
    ).start()


async def report_schema(settings: Settings) -> None:
    """Log an error where the project lacks what this version needs.

    One that does not answer is no error: the outbox keeps everything, and ships it later.
    """
    try:
        if not settings.uses_supabase:
            return
        api = await SupabaseApi.connect(settings)
        try:
            if await api.schema_version() < REQUIRED_SCHEMA:
                raise old_schema()
        finally:
            await api.aclose()
    except SupabaseError as error:
        if not error.is_misconfigured:
            logger.info(f"The schema of the Supabase project cannot be checked now: {error}")
            return
        logger.error(f"Until this is mended, what is said stays in the journal. {error}")
    except SettingsError as error:
        logger.error(f"Conversations cannot be kept in Supabase. {error}")


def _not_used(settings: Settings) -> Finding:
    if settings.is_local:
        return "ok", worded("not set: conversations stay in the journal"), ""
    return (
        "note",
        worded("not set: conversations stay in the journal, on this instance's disk"),
        worded("Set SUPABASE_URL and SUPABASE_SECRET_KEY, unless that disk outlives the instance."),
    )
