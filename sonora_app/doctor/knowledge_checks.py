"""Checks that the documents that are searched fit the settings, for `sonora doctor`."""

import asyncio
from contextlib import closing

from sonora_app.errors import SettingsError, SonoraError
from sonora_app.identity.callers import Finding
from sonora_app.knowledge.database import exists, model_changed
from sonora_app.knowledge.embedding import LOCAL_MODEL
from sonora_app.settings import KnowledgeIn, Settings
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.wording.translation import worded


async def examine_knowledge(settings: Settings) -> Finding | None:
    """Whether the documents that `SONORA_KNOWLEDGE` names can be searched.

    None where there are none, and where a project's own `match_documents` is asked.
    """
    try:
        match settings.knowledge:
            case KnowledgeIn.LOCAL:
                count = await asyncio.to_thread(_here, settings)
            case KnowledgeIn.SUPABASE:
                count = await _there(settings)
            case KnowledgeIn.MATCH_DOCUMENTS:
                return None
    except SettingsError as error:
        return "problem", error.message, error.hint
    except SonoraError as error:
        return "problem", str(error), error.hint
    if count is None:
        return None
    if not count:
        advice = worded("Bring them there: uv run sonora knowledge push")
        return "note", worded("Supabase has no documents yet"), advice
    return "ok", worded("{count} documents are searched", count=count), ""


def _here(settings: Settings) -> int | None:
    if not exists(settings.knowledge_path):
        return None
    # numpy is not loaded where there is no index.
    from sonora_app.knowledge.index import Index

    with closing(Index(settings.knowledge_path)) as index:
        made_by = index.model
        if made_by is not None and made_by != LOCAL_MODEL:
            raise model_changed(made_by, LOCAL_MODEL)
        return len(index.documents())


async def _there(settings: Settings) -> int:
    from sonora_app.knowledge.supabase.project import KnowledgeProject
    from sonora_app.knowledge.supabase.vectors import model_there

    api = await SupabaseApi.connect(settings)
    try:
        project = KnowledgeProject(api)
        await project.check(model_there(LOCAL_MODEL))
        return len(await project.documents())
    finally:
        await api.aclose()
