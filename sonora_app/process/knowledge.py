"""The search of a process: made once there is something to search, and shared by its calls."""

import asyncio
from typing import TYPE_CHECKING

from loguru import logger

from sonora_app.errors import SonoraError
from sonora_app.knowledge.making import make_search
from sonora_app.settings import KnowledgeIn, Settings

if TYPE_CHECKING:
    from sonora_app.knowledge.making import AnySearch

_search: "AnySearch | None" = None
_making = asyncio.Lock()


async def process_search(settings: Settings) -> "AnySearch | None":
    """The search of this process; None where no document was added, which loads nothing.

    What cannot be searched is told in the log, and calls are held without it.
    """
    global _search
    async with _making:
        if _search is None and (
            settings.knowledge is not KnowledgeIn.LOCAL or settings.knowledge_path.exists()
        ):
            try:
                _search = await make_search(settings)
            except SonoraError as error:
                logger.warning(f"Calls are held without documents. {error}")
        return _search


def current_search() -> "AnySearch | None":
    """The search of this process, where one was made."""
    return _search


async def close_process_search() -> None:
    """Close what the search holds."""
    global _search
    async with _making:
        search, _search = _search, None
    if search is not None:
        await search.aclose()
