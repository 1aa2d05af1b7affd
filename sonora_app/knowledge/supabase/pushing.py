"""Brings the documents of the embedded index to Supabase: only what changed, a batch at a time.

A document is searched there in its old version until all of the new one is there. What was broken
off goes on where it was.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from sonora_app.knowledge.index import Index
from sonora_app.knowledge.records import Document, Passage
from sonora_app.knowledge.supabase.project import KnowledgeProject, passage_row
from sonora_app.knowledge.supabase.vectors import model_there
from sonora_app.knowledge.words import language_of
from sonora_app.storage.supabase.circuit import Circuit
from sonora_app.storage.supabase.errors import SupabaseError, Trouble

_BATCH = 40
"""Passages of one request: some 400 kB."""

_PASSING = frozenset({Trouble.UNREACHABLE, Trouble.BUSY, Trouble.FAILING})

_Result = TypeVar("_Result")


@dataclass
class Pushed:
    """What was done.

    Parameters:
        pushed: The documents that were brought there.
        unchanged: How many were there as they are.
        removed: How many were removed, because the index does not have them.
    """

    pushed: list[Document] = field(default_factory=list[Document])
    unchanged: int = 0
    removed: int = 0


@dataclass
class Progress:
    """Told as it goes on; each does nothing by default.

    Parameters:
        document: A document is begun: which, its number from 1, how many there are.
        passages: Of that document, how many passages are there, and how many there will be.
    """

    document: Callable[[Document, int, int], None] = field(
        default=lambda document, number, count: None
    )
    passages: Callable[[int, int], None] = field(default=lambda done, count: None)


async def push(
    index: Index,
    project: KnowledgeProject,
    *,
    remove_missing: bool = False,
    progress: Progress | None = None,
) -> Pushed:
    """Bring every document of the index there that is not there as it is.

    Args:
        index: The embedded index.
        project: Where to.
        remove_missing: Whether what is there and not in the index is removed there.
        progress: Told how far it is.

    Raises:
        SupabaseError: A request failed, several times where it may pass. What is there stays, and
            another push goes on from there.
        StorageError: The index cannot be read, or the project cannot keep documents.
    """
    told = progress or Progress()
    there = await _patiently(project.documents)
    model = model_there(index.model or "")
    documents = await asyncio.to_thread(index.documents)
    versions = {each.document.id: (each.version, each.document.passages) for each in there}
    done = Pushed()
    for number, document in enumerate(documents, 1):
        version = _version(document, model)
        if versions.get(document.id) == (version, document.passages):
            done.unchanged += 1
            continue
        told.document(document, number, len(documents))
        await _push_one(index, project, document, model, version, told)
        done.pushed.append(document)
    missing = {each.document.id for each in there} - {document.id for document in documents}
    if remove_missing and missing:
        done.removed = await _patiently(lambda: project.remove(missing))
    return done


async def _push_one(
    index: Index,
    project: KnowledgeProject,
    document: Document,
    model: str,
    version: str,
    told: Progress,
) -> None:
    passages = await asyncio.to_thread(index.passages_of, document.id)
    kept: set[UUID] = await _patiently(lambda: project.put(document, version))
    waiting = [each for each in passages if each[0].id not in kept]
    for start in range(0, len(waiting), _BATCH):
        told.passages(len(passages) - len(waiting) + start, len(passages))
        batch = waiting[start : start + _BATCH]
        rows = await asyncio.to_thread(_rows, batch, model)
        await _patiently(partial(project.put, document, version, rows))
    await _patiently(lambda: project.put(document, version, complete=True))
    told.passages(len(passages), len(passages))


def _rows(batch: Sequence[tuple[Passage, Any]], model: str) -> list[dict[str, object]]:
    return [
        passage_row(passage, language_of(passage.content), model, vectors)
        for passage, vectors in batch
    ]


def _version(document: Document, model: str) -> str:
    return f"{document.hash[:16]} {model} {document.created_at.isoformat()}"


async def _patiently(ask: Callable[[], Awaitable[_Result]]) -> _Result:
    """What `ask` gives, asked again a few times where its failure may pass."""
    circuit = Circuit()
    while True:
        try:
            return await ask()
        except SupabaseError as error:
            circuit.failed(error.retry_after_secs)
            if error.trouble not in _PASSING or circuit.is_open:
                raise
        await asyncio.sleep(circuit.wait_secs())
