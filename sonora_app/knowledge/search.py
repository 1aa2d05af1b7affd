"""The search, off the event loop: one thread of a process, with the model and the index."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

from loguru import logger

from sonora_app.errors import SonoraError
from sonora_app.knowledge.candidates import find_candidates
from sonora_app.knowledge.database import (
    ModelChangedError,
    fact,
    index_errors,
    open_index,
)
from sonora_app.knowledge.embedding import Embedder, LocalEmbedder
from sonora_app.knowledge.late_interaction import likenesses
from sonora_app.knowledge.questions import as_written, cleaned, with_names
from sonora_app.knowledge.ranking import (
    CLOSELY,
    GIVEN,
    fits,
    fitting,
    given_of,
    order,
    order_closely,
    probability,
)
from sonora_app.knowledge.records import Document, Findings, Found, Passage
from sonora_app.knowledge.rows import DOCUMENT, PASSAGE, document_of, passage_of
from sonora_app.knowledge.snapshot import Snapshot, load
from sonora_app.knowledge.unanswered import RemembersUnanswered

_LOOKED_AGAIN_SECS = 2.0
"""How often it is looked whether another process changed the index."""

_COPIES = 3
"""How often a passage may be found, in copies of a document, without taking the place of others."""


class Search(RemembersUnanswered):
    """Looks for passages. Shared by all calls of a process.

    Args:
        path: The index's file.
        embedder: Makes the model, in the search's own thread.
    """

    def __init__(self, path: Path, embedder: Callable[[], Embedder] = LocalEmbedder) -> None:
        """Note where the index is; it is opened by the first search, or by `warm_up`."""
        super().__init__()
        self._path = path
        self._make_embedder = embedder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sonora-knowledge")
        # A command searches in its own thread, while the other may read the changed index.
        self._using = Lock()
        self._connection: Any = None
        self._embedder: Embedder | None = None
        self._snapshot: Snapshot | None = None
        self._opened: tuple[int, int] | None = None
        self._looked_at = 0.0
        self._reloading = False

    async def warm_up(self) -> None:
        """Load the model and the index, so that no turn has to.

        Raises:
            SonoraError: One of the two cannot be loaded.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._prepare)

    async def find(
        self, question: str, user_id: str | None = None, *, limit: int = GIVEN
    ) -> Findings:
        """The passages that are likeliest to answer `question`.

        Args:
            question: As it was said.
            user_id: Who asks; the documents of others are not looked at.
            limit: How many passages at most.

        Raises:
            StorageError: The index cannot be read, or another model made it.
            SettingsError: The model is not installed.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self.find_now, question, user_id, limit)

    def find_now(self, question: str, user_id: str | None = None, limit: int = GIVEN) -> Findings:
        """`find`, in this thread: for commands."""
        began = time.perf_counter()
        asked = cleaned(question)
        if not asked:
            return Findings("")
        with self._using, index_errors(self._path):
            snapshot = self._prepare()
            found, likely = self._found(snapshot, asked, user_id, limit)
        took = (time.perf_counter() - began) * 1000
        return Findings(asked, tuple(found), likely, given_of(found, likely), took)

    async def documents(self) -> list[Document]:
        """All documents that are searched, by title.

        Raises:
            StorageError: The index cannot be read.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._documents)

    async def aclose(self) -> None:
        """Close the file and end the thread."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self.close)
        self._thread.shutdown(wait=False)

    def close(self) -> None:
        """Close the file."""
        with self._using:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _prepare(self) -> Snapshot:
        again = time.monotonic() - self._looked_at > _LOOKED_AGAIN_SECS
        if self._connection is not None and again and self._opened != _file_at(self._path):
            # Somebody deleted the file that is open, or put another in its place.
            self._connection.close()
            self._connection = self._snapshot = None
        if self._connection is None:
            with index_errors(self._path):
                self._connection = open_index(self._path)
                self._opened = _file_at(self._path)
        if self._embedder is None:
            self._embedder = self._make_embedder()
            # The first text of a process takes some ms more than the next.
            self._embedder.question("hola")
        if self._snapshot is None:
            self._snapshot = load(self._connection, self._embedder.model)
            self._looked_at = time.monotonic()
        elif again:
            self._looked_at = time.monotonic()
            if (
                not self._reloading
                and fact(self._connection, "revision") != self._snapshot.revision
            ):
                # After this search, which is not made to wait for it.
                self._reloading = True
                with suppress(RuntimeError):
                    self._thread.submit(self._reload)
        return self._snapshot

    def _documents(self) -> list[Document]:
        with self._using, index_errors(self._path):
            self._prepare()
            rows = self._connection.execute(f"{DOCUMENT} ORDER BY d.title, d.source").fetchall()
        return [document_of(row) for row in rows]

    def _reload(self) -> None:
        try:
            with self._using, index_errors(self._path):
                if self._connection is not None and self._embedder is not None:
                    self._snapshot = load(self._connection, self._embedder.model)
        except ModelChangedError:
            # The next search tells of it.
            self._snapshot = None
        except SonoraError as error:
            logger.warning(f"The documents that were changed are not searched yet: {error}")
        finally:
            self._reloading = False

    def _found(
        self, snapshot: Snapshot, asked: str, user_id: str | None, limit: int
    ) -> tuple[list[Found], float]:
        if not len(snapshot) or self._embedder is None:
            return [], 0.0
        asked = with_names(asked, snapshot.vocabulary)
        meaning = self._embedder.question(as_written(asked))
        candidates = find_candidates(self._connection, snapshot, asked, meaning.vector, user_id)
        ordered, scores = order(candidates)
        if not ordered:
            return [], 0.0
        first = [candidates.numbers[index] for index in ordered[:CLOSELY]]
        late = likenesses(self._connection, first, meaning.words)
        likely = fits(fitting(candidates, ordered[0], float(scores[ordered[0]])))
        ordered = order_closely(candidates, ordered, late)
        wanted = [candidates.numbers[i] for i in ordered[: _COPIES * limit]]
        passages = self._passages(wanted)
        # Of a passage that several documents hold alike, the first.
        found = dict[str, Found]()
        for i, number in zip(ordered, wanted, strict=False):
            if passage := passages.get(number):
                each = Found(passage, probability(float(scores[i])))
                found.setdefault(passage.content, each)
        return list(found.values())[:limit], likely if found else 0.0

    def _passages(self, numbers: list[int]) -> dict[int, Passage]:
        marks = ",".join("?" * len(numbers))
        rows = self._connection.execute(
            f"{PASSAGE.replace('FROM', ', p.number FROM', 1)} WHERE p.number IN ({marks})", numbers
        )
        return {row[-1]: passage_of(row) for row in rows}


def _file_at(path: Path) -> tuple[int, int] | None:
    """Which file is there, whatever it holds; None for none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
