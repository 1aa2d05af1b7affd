"""Counts and removes all documents of one user: here, and in Supabase."""

from collections.abc import Sequence
from contextlib import closing

from sonora_app.knowledge.index import Index
from sonora_app.knowledge.records import Document
from sonora_app.knowledge.supabase.project import KnowledgeProject
from sonora_app.settings import Settings
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.supabase.errors import SupabaseError, Trouble

HERE = "knowledge"
"""What the place of the embedded index is called in a receipt."""

Counts = dict[str, dict[str, int]]
"""For each place, how many rows each of its tables has, or had. Empty ones are left out."""


async def documents_of(
    settings: Settings, user_id: str, api: SupabaseApi | None, *, remove: bool
) -> Counts:
    """Count, or remove, all documents of one user; first in Supabase.

    Args:
        settings: Where the embedded index is.
        user_id: Whose.
        api: The project; None where there is none. One without the tables has no documents.
        remove: Whether they are removed.

    Returns:
        How much there is, or was. Where there is nothing, words of earlier documents are cleared
        away from the embedded index that a removal had to leave.

    Raises:
        SupabaseError: Supabase failed; those here stay, so that another try finds both.
        StorageError: The embedded index cannot be read or written.
    """
    counts: Counts = {}
    if api is not None:
        counts["supabase"] = _count(await _in_supabase(KnowledgeProject(api), user_id, remove))
    if settings.knowledge_path.exists():
        with closing(Index(settings.knowledge_path)) as index:
            here = index.remove_of(user_id) if remove else index.documents_of(user_id)
        counts[HERE] = _count(here)
    return {place: count for place, count in counts.items() if count}


async def _in_supabase(project: KnowledgeProject, user_id: str, remove: bool) -> list[Document]:
    try:
        there = await project.documents_of(user_id)
        if there and remove:
            await project.remove_of(user_id)
    except SupabaseError as error:
        if error.trouble is not Trouble.OLD_SCHEMA:
            raise
        return []
    return there


def _count(documents: Sequence[Document]) -> dict[str, int]:
    if not documents:
        return {}
    return {"documents": len(documents), "passages": sum(each.passages for each in documents)}
