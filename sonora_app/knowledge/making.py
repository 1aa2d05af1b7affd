"""Makes the search that the settings name."""

import asyncio
from typing import TYPE_CHECKING, Union

from sonora_app.settings import KnowledgeIn, Settings

if TYPE_CHECKING:
    from sonora_app.knowledge.search import Search
    from sonora_app.knowledge.supabase.matching import MatchSearch
    from sonora_app.knowledge.supabase.search import SupabaseSearch


AnySearch = Union["Search", "SupabaseSearch", "MatchSearch"]


async def make_search(settings: Settings) -> "AnySearch | None":
    """The search that `SONORA_KNOWLEDGE` names, ready; None where no document was added here.

    Nothing is loaded where it is None.

    Raises:
        SettingsError: What it needs is not set or not installed.
        StorageError: The index cannot be read, or another model made it.
    """
    search = await _made(settings)
    if search is not None:
        await search.warm_up()
    return search


async def _made(settings: Settings) -> "AnySearch | None":
    match settings.knowledge:
        case KnowledgeIn.LOCAL:
            from sonora_app.knowledge.database import exists

            if not await asyncio.to_thread(exists, settings.knowledge_path):
                return None
            from sonora_app.knowledge.search import Search

            return Search(settings.knowledge_path)
        case KnowledgeIn.SUPABASE:
            from sonora_app.knowledge.supabase.project import KnowledgeProject
            from sonora_app.knowledge.supabase.search import SupabaseSearch
            from sonora_app.storage.supabase.api import SupabaseApi

            return SupabaseSearch(KnowledgeProject(await SupabaseApi.connect(settings)))
        case KnowledgeIn.MATCH_DOCUMENTS:
            from sonora_app.knowledge.supabase.matching import MatchSearch

            return await MatchSearch.connect(settings)
