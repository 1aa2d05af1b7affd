"""The search in Supabase: the question's vector is made here, and one round trip does the rest."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from sonora_app.errors import StorageError
from sonora_app.knowledge.embedding import Embedder, LocalEmbedder
from sonora_app.knowledge.questions import as_written, cleaned
from sonora_app.knowledge.ranking import GIVEN
from sonora_app.knowledge.records import Document, Findings
from sonora_app.knowledge.supabase.project import KnowledgeProject
from sonora_app.knowledge.supabase.vectors import apart, model_there, vector_text
from sonora_app.knowledge.unanswered import RemembersUnanswered
from sonora_app.storage.supabase.circuit import Circuit
from sonora_app.storage.supabase.errors import SupabaseError
from sonora_app.wording.translation import worded

DEADLINE_SECS = 1.0
"""How long one search may take. An answer waits less; what comes later is of use to none."""


class SupabaseSearch(RemembersUnanswered):
    """Looks for passages in Supabase. Shared by all calls of a process.

    After failures it pauses, so that answers do not wait for a server that is known to be down.

    Args:
        project: Where to look; its connection is closed with the search.
        embedder: Makes the model, in the search's own thread.
    """

    def __init__(
        self, project: KnowledgeProject, embedder: Callable[[], Embedder] = LocalEmbedder
    ) -> None:
        """Note where to look."""
        super().__init__()
        self._project = project
        self._make_embedder = embedder
        self._embedder: Embedder | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sonora-knowledge")
        self._circuit = Circuit()

    async def warm_up(self) -> None:
        """Load the model, so that no turn has to. The project is asked by the first search.

        Raises:
            SettingsError: The model is not installed.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._vector, "hola")

    async def find(
        self, question: str, user_id: str | None = None, *, limit: int = GIVEN
    ) -> Findings:
        """The passages that are likeliest to answer `question`.

        Args:
            question: As it was said.
            user_id: Who asks; the documents of others are not looked at.
            limit: How many passages at most.

        Raises:
            StorageError: Supabase failed, was too slow, or failed a moment ago.
            SettingsError: The model is not installed.
        """
        began = time.perf_counter()
        asked = cleaned(question)
        if not asked:
            return Findings("")
        if self._circuit.wait_secs() > 0:
            raise StorageError(
                worded("Supabase failed a moment ago, and is not asked for documents yet.")
            )
        loop = asyncio.get_running_loop()
        embedding, model = await loop.run_in_executor(self._thread, self._vector, asked)
        try:
            async with asyncio.timeout(DEADLINE_SECS):
                findings = await self._project.find(asked, embedding, model, user_id, limit)
        except TimeoutError:
            self._circuit.failed()
            raise StorageError(
                worded("Supabase did not find documents within {secs} s.", secs=DEADLINE_SECS)
            ) from None
        except SupabaseError as error:
            self._circuit.failed(error.retry_after_secs)
            raise
        self._circuit.succeeded()
        return replace(findings, took_ms=(time.perf_counter() - began) * 1000)

    async def documents(self) -> list[Document]:
        """All documents that are there, by title.

        Raises:
            StorageError: Supabase failed.
        """
        return [each.document for each in await self._project.documents()]

    async def aclose(self) -> None:
        """Close the connection and end the thread."""
        await self._project.api.aclose()
        self._thread.shutdown(wait=False)

    def _vector(self, text: str) -> tuple[str, str]:
        if self._embedder is None:
            self._embedder = self._make_embedder()
        vector = self._embedder.question(as_written(text)).vector
        return vector_text(apart(vector[None])[0]), model_there(self._embedder.model)
