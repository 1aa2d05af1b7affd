"""The stores that are asked, with the same conversations in them."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.finding.conversations import in_batches
from benchmarks.finding.project import KEY, Project
from benchmarks.finding.questions import Asked
from sonora_app.settings import Settings
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.two_stores import MirroredStore

_FILL_SECS = 1_800


@asynccontextmanager
async def filled_stores(
    conversations: int, project: Project | None
) -> AsyncGenerator[dict[str, Asked]]:
    """Stores with so many conversations, by the names of their columns in the table.

    The journal ships them to the project, if there is one, as it does for a bot, and goes on having
    them all, as a bot's does that keeps what it ships. What is asked of Supabase is what both have
    together.

    Raises:
        RuntimeError: Not all of them got to the project.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        path = folder / "data" / "journal.db"
        journal = await Journal.connect(path, outbox=project is not None)
        if project is None:
            stack.push_async_callback(journal.aclose)
            await _fill(journal, conversations)
            yield {"journal": journal}
            return
        settings = Settings.model_validate({"supabase_url": project.url, "supabase_key": KEY})
        store = MirroredStore(journal, await SupabaseApi.connect(settings), keep=None)
        stack.push_async_callback(store.aclose)
        await _fill(journal, conversations)
        if left := await store.settle(timeout_secs=_FILL_SECS):
            raise RuntimeError(f"{left} records did not get to Supabase")
        project.settle()
        yield {"journal": journal, "Supabase": store}


async def _fill(journal: Journal, conversations: int) -> None:
    for records in in_batches(conversations):
        await journal.write(records)
