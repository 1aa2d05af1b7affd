"""The documents that were added, and the passages of each."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from sonora_app.errors import NotFoundError
from sonora_app.knowledge.database import (
    changed,
    fact,
    index_errors,
    model_changed,
    open_index,
    set_fact,
    writing,
)
from sonora_app.knowledge.embedding import Embedder
from sonora_app.knowledge.late_interaction import packed_words
from sonora_app.knowledge.passages import CutPassage, windows
from sonora_app.knowledge.records import Document, Passage, heading_text
from sonora_app.knowledge.rows import DOCUMENT, PASSAGE, document_of, packed, passage_of, unpacked
from sonora_app.knowledge.space import WIDTH
from sonora_app.knowledge.words import keys_of, language_of
from sonora_app.storage.journal.scrub import empty_log
from sonora_app.storage.records import uuid7
from sonora_app.wording.translation import worded

_PATIENCE_SECS = 5.0
"""How long to wait for those who search, and need what is removed."""


class Index:
    """The index's file, for whoever adds and removes.

    Args:
        path: The file; made when it is missing.

    Raises:
        StorageError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        """Open the file."""
        self.path = path
        with index_errors(path):
            self._connection = open_index(path)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @property
    def model(self) -> str | None:
        """The embedding model it was made by; None while it is empty."""
        with index_errors(self.path):
            return fact(self._connection, "model")

    def documents(self) -> list[Document]:
        """All documents, by title."""
        with index_errors(self.path):
            rows = self._connection.execute(f"{DOCUMENT} ORDER BY d.title, d.source").fetchall()
        return [document_of(row) for row in rows]

    def document_from(self, source: str, user_id: str | None) -> Document | None:
        """The document that came from `source` for `user_id`."""
        with index_errors(self.path):
            row = self._connection.execute(
                f"{DOCUMENT} WHERE d.source = ? AND d.user_id IS ?", (source, user_id)
            ).fetchone()
        return None if row is None else document_of(row)

    def put(
        self,
        document: Document,
        passages: Sequence[CutPassage],
        embedder: Embedder,
        *,
        on_passage: Callable[[int], None] = lambda done: None,
    ) -> None:
        """Add a document, or put it in the place of what came from its source before.

        Passages that are as they were keep their vectors. Until all is ready, the old ones are
        found; nothing is written when it breaks off.

        Args:
            document: What it is.
            passages: Its passages, in order.
            embedder: Makes their vectors.
            on_passage: Told how many passages are ready.

        Raises:
            StorageError: It cannot be written.
            ModelChangedError: The index was made by another model.
        """
        with index_errors(self.path):
            self._check_model(embedder.model)
            known = self._known_meanings(document)
            rows: list[tuple[Any, ...]] = []
            for seq, cut in enumerate(passages):
                place = heading_text(document.title, cut.headings)
                key = f"{place}\n{cut.content}"
                if key not in known:
                    known[key] = _meaning(place, cut.content, embedder)
                rows.append(
                    (
                        str(uuid7()),
                        str(document.id),
                        seq,
                        json.dumps(cut.headings, ensure_ascii=False),
                        cut.page,
                        cut.anchor,
                        cut.content,
                        language_of(cut.content),
                        *known[key],
                    )
                )
                on_passage(seq + 1)
            with writing(self._connection):
                self._check_model(embedder.model)
                self._delete(self._sources(document.source, document.user_id))
                self._write(document, rows)
                set_fact(self._connection, "model", embedder.model)
                changed(self._connection)

    def remove(self, ids: Iterable[UUID]) -> None:
        """Remove documents with all their passages, so that no word of theirs stays in the file.

        Raises:
            StorageError: They cannot be removed; or they are, and words of theirs are in the file
                until this is done again.
        """
        with index_errors(self.path):
            with writing(self._connection):
                self._delete([str(document_id) for document_id in ids])
                changed(self._connection)
                empty = self._connection.execute("SELECT 1 FROM documents LIMIT 1").fetchone()
                if empty is None:
                    self._connection.execute("DELETE FROM facts WHERE name = 'model'")
            # Erased words stay in the full-text tables and in free pages until this.
            self._connection.execute("INSERT INTO passage_keys (passage_keys) VALUES ('optimize')")
            self._connection.execute("VACUUM")
            empty_log(self._connection, _PATIENCE_SECS)

    def documents_of(self, user_id: str) -> list[Document]:
        """The documents of one user, by title."""
        return [document for document in self.documents() if document.user_id == user_id]

    def remove_of(self, user_id: str) -> list[Document]:
        """Remove all documents of one user, as `remove` does; gives what they were.

        Where there are none, words of earlier ones are cleared away that `remove` had to leave.
        """
        theirs = self.documents_of(user_id)
        self.remove([document.id for document in theirs])
        return theirs

    def passages_of(self, document_id: UUID) -> list[tuple[Passage, "np.ndarray[Any, Any]"]]:
        """A document's passages in order, each with the vectors of its windows, one a row.

        Raises:
            NotFoundError: There is no such document.
        """
        with index_errors(self.path):
            rows = self._connection.execute(
                f"{PASSAGE.replace('FROM', ', p.embeddings FROM', 1)} "
                "WHERE p.document_id = ? ORDER BY p.seq",
                (str(document_id),),
            ).fetchall()
        if not rows:
            raise NotFoundError(worded("There is no document {id}.", id=document_id))
        return [(passage_of(row), unpacked(row[-1]).reshape(-1, WIDTH)) for row in rows]

    def rebuild(
        self, embedder: Embedder, *, on_passage: Callable[[int, int], None] = lambda done, of: None
    ) -> int:
        """Make every vector anew, by `embedder`; gives how many passages there are.

        Calls go on with the old vectors until all are ready, and with the words alone if the
        model was another.
        """
        with index_errors(self.path):
            rows = self._connection.execute(
                "SELECT p.number, d.title, p.headings, p.content "
                "FROM passages p JOIN documents d ON d.id = p.document_id"
            ).fetchall()
            made: list[tuple[bytes, bytes, int]] = []
            for done, (number, title, headings, content) in enumerate(rows):
                place = heading_text(title, tuple(json.loads(headings)))
                made.append((*_meaning(place, content, embedder), number))
                on_passage(done + 1, len(rows))
            with writing(self._connection):
                self._connection.executemany(
                    "UPDATE passages SET embeddings = ?, words = ? WHERE number = ?", made
                )
                set_fact(self._connection, "model", embedder.model)
                changed(self._connection)
        return len(rows)

    def _check_model(self, model: str) -> None:
        made_by = fact(self._connection, "model")
        if made_by is not None and made_by != model:
            raise model_changed(made_by, model)

    def _known_meanings(self, document: Document) -> dict[str, tuple[bytes, bytes]]:
        known: dict[str, tuple[bytes, bytes]] = {}
        for headings, content, vectors, words in self._connection.execute(
            "SELECT p.headings, p.content, p.embeddings, p.words FROM passages p "
            "JOIN documents d ON d.id = p.document_id "
            "WHERE d.source = ? AND d.user_id IS ? AND d.title = ? AND p.words IS NOT NULL",
            (document.source, document.user_id, document.title),
        ):
            at = heading_text(document.title, tuple(json.loads(headings)))
            known[f"{at}\n{content}"] = (vectors, words)
        return known

    def _sources(self, source: str, user_id: str | None) -> list[str]:
        return [
            row[0]
            for row in self._connection.execute(
                "SELECT id FROM documents WHERE source = ? AND user_id IS ?", (source, user_id)
            )
        ]

    def _delete(self, ids: Sequence[str]) -> None:
        for document_id in ids:
            self._connection.execute(
                "DELETE FROM passage_keys WHERE rowid IN "
                "(SELECT number FROM passages WHERE document_id = ?)",
                (document_id,),
            )
            self._connection.execute("DELETE FROM passages WHERE document_id = ?", (document_id,))
            self._connection.execute("DELETE FROM documents WHERE id = ?", (document_id,))

    def _write(self, document: Document, rows: list[tuple[Any, ...]]) -> None:
        self._connection.execute(
            "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                str(document.id),
                document.user_id,
                document.title,
                document.source,
                document.hash,
                document.language,
                document.created_at.isoformat(),
            ),
        )
        for row in rows:
            number = self._connection.execute(
                "INSERT INTO passages (id, document_id, seq, headings, page, anchor, content, "
                "language, embeddings, words) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            ).lastrowid
            headings = heading_text(document.title, tuple(json.loads(row[3])))
            self._connection.execute(
                "INSERT INTO passage_keys (rowid, headings, content) VALUES (?, ?, ?)",
                (number, " ".join(keys_of(headings)), " ".join(keys_of(row[6]))),
            )


def _meaning(place: str, content: str, embedder: Embedder) -> tuple[bytes, bytes]:
    """The vectors of a passage's windows, and those of their words, each one after the other.

    Each window carries the passage's headings.
    """
    made = [embedder.passage(f"{place}. {window}") for window in windows(content)]
    return (
        b"".join(packed(each.vector) for each in made),
        b"".join(packed_words(each.words) for each in made),
    )
