"""The search of a process: made once there is something to search, and shared by its calls."""

import asyncio
from typing import TYPE_CHECKING

from loguru import logger

from sonora_app.errors import SonoraError
from sonora_app.settings import Settings

if TYPE_CHECKING:
    from sonora_app.knowledge.search import Search

_search: "Search | None" = None
_making = asyncio.Lock()


async def process_search(settings: Settings) -> "Search | None":
    """The search of this process; None where no document was added, which loads nothing.

    What cannot be searched is told in the log, and calls are held without it.
    """
    global _search
    async with _making:
        if _search is None and settings.knowledge_path.exists():
            _search = await _make(settings)
        return _search


async def _make(settings: Settings) -> "Search | None":
    from sonora_app.knowledge.database import exists

    try:
        if not await asyncio.to_thread(exists, settings.knowledge_path):
            return None
        from sonora_app.knowledge.search import Search

        search = Search(settings.knowledge_path)
        await search.warm_up()
    except SonoraError as error:
        logger.warning(f"Calls are held without documents. {error}")
        return None
    return search


def current_search() -> "Search | None":
    """The search of this process, where one was made."""
    return _search


async def close_process_search() -> None:
    """Close what the search holds."""
    global _search
    async with _making:
        search, _search = _search, None
    if search is not None:
        await search.aclose()
