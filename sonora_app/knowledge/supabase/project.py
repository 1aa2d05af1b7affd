"""The documents of a Supabase project: what its functions take and give.

`supabase/migrations` has the functions, in `…_sonora_documents.sql` and `…_misheard_words.sql`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import numpy as np

from sonora_app.errors import StorageError
from sonora_app.knowledge.candidates import USUAL_COUNTS, USUAL_MEANING, Candidates, Term
from sonora_app.knowledge.database import ModelChangedError
from sonora_app.knowledge.ranking import WEIGHTS, fits, fitting, given_of, probability
from sonora_app.knowledge.records import Document, Findings, Found, Passage
from sonora_app.knowledge.space import WIDTH
from sonora_app.knowledge.supabase.vectors import apart, vector_text
from sonora_app.knowledge.words import STOP_WORDS, key_of, keys_of, words_of
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.supabase.errors import garbled, old_schema
from sonora_app.wording.translation import worded

_HEADING = "A"
_CONTENT = "B"
_LAST_POSITION = 16_383
"""The largest position that a tsvector keeps."""

_JUDGING: dict[str, float] = {
    # The likeness of the vectors as the model gives them is not kept there, and goes with it.
    "meaning": WEIGHTS["meaning"] + WEIGHTS["likeness"],
    "bm25": WEIGHTS["bm25"],
    "both": WEIGHTS["both"],
    "mean": USUAL_MEANING[0],
    "spread": USUAL_MEANING[1],
    "counts": USUAL_COUNTS,
}
"""What `sonora_find_passages` judges by."""


@dataclass(frozen=True)
class ProjectDocument:
    """A document that is there.

    Parameters:
        document: What it is.
        version: The version that is searched; None while it is being pushed.
    """

    document: Document
    version: str | None


class KnowledgeProject:
    """A Supabase project, for documents.

    Every method may raise `SupabaseError`, and `StorageError` where the project cannot keep any.

    Args:
        api: The project.
    """

    def __init__(self, api: SupabaseApi) -> None:
        """Ask this project."""
        self.api = api

    async def documents(self) -> list[ProjectDocument]:
        """All documents that are there, by title, those of all users."""
        answer = await self._call("sonora_documents", {})
        _check(answer)
        return [_document(row) for row in cast(list[dict[str, Any]], answer["documents"])]

    async def documents_of(self, user_id: str) -> list[Document]:
        """The documents of one user; none where the project has no such tables."""
        answer = await self._call("sonora_documents", {})
        rows = [_document(row) for row in cast(list[dict[str, Any]], answer["documents"])]
        return [each.document for each in rows if each.document.user_id == user_id]

    async def put(
        self,
        document: Document,
        version: str,
        passages: Sequence[Mapping[str, object]] = (),
        *,
        complete: bool = False,
    ) -> set[UUID]:
        """Keep passages of a document, as `passage_row` gives them. Again changes nothing.

        Args:
            document: What it is.
            version: Which version of it these belong to.
            passages: Some of its passages.
            complete: Whether all are there, and are to be searched from now on.

        Returns:
            The passages of this version that are there.
        """
        answer = await self._call(
            "sonora_put_passages",
            {
                "document": {
                    "id": str(document.id),
                    "user_id": document.user_id,
                    "title": document.title,
                    "source": document.source,
                    "hash": document.hash,
                    "language": document.language,
                    "created_at": document.created_at.isoformat(),
                    "passages": document.passages,
                    "version": version,
                },
                "passages": list(passages),
                "complete": complete,
            },
        )
        _check(answer)
        return {UUID(each) for each in cast(list[str], answer["there"])}

    async def remove(self, ids: Collection[UUID]) -> int:
        """Remove documents; gives how many there were."""
        return await self._remove({"ids": [str(each) for each in ids]})

    async def remove_of(self, user_id: str) -> int:
        """Remove all documents of one user; gives how many there were."""
        return await self._remove({"user_id": user_id})

    async def find(
        self, asked: str, embedding: str, model: str, user_id: str | None, limit: int
    ) -> Findings:
        """The passages that are likeliest to answer a cleaned question, in one round trip.

        Args:
            asked: The question, cleaned.
            embedding: Its vector, as `vector_text` writes it.
            model: The model that made it.
            user_id: Who asks; the documents of others are not looked at.
            limit: How many passages at most.

        Raises:
            ModelChangedError: Another model made the vectors that are there.
        """
        words = [w for w in words_of(asked) if w not in STOP_WORDS and len(w) > 1]
        keys = list(dict.fromkeys(key_of(word) for word in words))
        answer = await self._call(
            "sonora_find_passages",
            {
                "words": keys,
                "embedding": embedding,
                "model": model,
                "user_id": user_id,
                "row_limit": limit,
                "weights": _JUDGING,
            },
        )
        _check(answer, model)
        if answer.get("passages") and "terms" not in answer:
            # The function of an earlier migration.
            raise old_schema()
        try:
            return _findings(asked, answer)
        except (KeyError, TypeError, ValueError):
            raise garbled() from None

    async def check(self, model: str) -> None:
        """See that documents can be searched there by `model`, with the function of today.

        Raises:
            ModelChangedError: Another model made the vectors that are there.
        """
        await self.find("", vector_text(np.zeros(WIDTH)), model, None, 1)

    async def _remove(self, values: dict[str, object]) -> int:
        removed = await self.api.call("sonora_remove_documents", values)
        if not isinstance(removed, int):
            raise garbled()
        return removed

    async def _call(self, function: str, values: dict[str, object]) -> dict[str, Any]:
        answer = await self.api.call(function, values)
        if not isinstance(answer, dict):
            raise garbled()
        return cast(dict[str, Any], answer)


def passage_row(passage: Passage, language: str, model: str, vectors: Any) -> dict[str, object]:  # noqa: ANN401  # a matrix
    """A passage as `put` takes it.

    Args:
        passage: The passage.
        language: `es` or `en`.
        model: What its vectors are called there.
        vectors: Those of its windows, as the model made them, one a row.
    """
    return {
        "id": str(passage.id),
        "seq": passage.seq,
        "headings": list(passage.headings),
        "page": passage.page,
        "anchor": passage.anchor,
        "content": passage.content,
        "language": language,
        "model": model,
        "keys": keys_text(" ".join((passage.title, *passage.headings)), passage.content),
        "vectors": [vector_text(vector) for vector in apart(vectors)],
    }


def keys_text(headings: str, content: str) -> str:
    """The keys of a passage as PostgreSQL reads a tsvector, those of its headings marked."""
    places: dict[str, str] = {}
    position = 0
    for text, weight in ((headings, _HEADING), (content, _CONTENT)):
        for key in keys_of(text):
            position = min(position + 1, _LAST_POSITION)
            places.setdefault(key, f"{position}{weight}")
    quoted = {key.replace("\\", "\\\\").replace("'", "''"): at for key, at in places.items()}
    return " ".join(f"'{key}':{at}" for key, at in quoted.items())


def _check(answer: Mapping[str, Any], model: str = "") -> None:
    match answer.get("problem"):
        case "no_vector":
            raise StorageError(
                worded("The Supabase project does not have pgvector, which documents need."),
                hint=worded(
                    "Enable the extension `vector`, and apply "
                    "supabase/migrations/20261128140000_sonora_documents.sql again."
                ),
            )
        case "no_tables":
            raise StorageError(
                worded(
                    "The Supabase project has a table `documents` or `passages` that is not "
                    "Sonora's."
                ),
                hint=worded(
                    "Use another project, or ask what is there: SONORA_KNOWLEDGE=match_documents. "
                    "See docs/knowledge.md."
                ),
            )
        case "other_model":
            raise ModelChangedError(
                worded(
                    "The documents in Supabase were made by the model {made_by}, "
                    "and would be asked by {model}.",
                    made_by=answer.get("made_by"),
                    model=model,
                ),
                hint=worded(
                    "Make them anew: uv run sonora knowledge rebuild, then "
                    "uv run sonora knowledge push"
                ),
            )
        case _:
            pass


def _findings(asked: str, answer: Mapping[str, Any]) -> Findings:
    rows = cast(list[dict[str, Any]], answer["passages"])
    if not rows:
        return Findings(asked)
    terms = [Term("", float(t["weight"]), bool(t["known"]), ()) for t in answer["terms"]]
    words = np.array([float(row["words"]) for row in rows])
    judged = Candidates([], np.zeros(0), words, tuple(terms), float(answer["similarity"]))
    likely = fits(fitting(judged, 0, float(rows[0]["score"])))
    found = tuple(Found(_passage(row), probability(float(row["score"]))) for row in rows)
    return Findings(asked, found, likely, given_of(found, likely))


def _passage(row: Mapping[str, Any]) -> Passage:
    return Passage(
        id=UUID(row["id"]),
        document_id=UUID(row["document_id"]),
        title=row["title"],
        source=row["source"],
        headings=tuple(row["headings"]),
        page=row["page"],
        anchor=row["anchor"],
        content=row["content"],
        seq=row["seq"],
    )


def _document(row: Mapping[str, Any]) -> ProjectDocument:
    return ProjectDocument(
        Document(
            id=UUID(row["id"]),
            user_id=row["user_id"],
            title=row["title"],
            source=row["source"],
            hash=row["hash"],
            language=row["language"],
            created_at=datetime.fromisoformat(row["created_at"]),
            passages=row["passages"],
        ),
        row["version"],
    )
