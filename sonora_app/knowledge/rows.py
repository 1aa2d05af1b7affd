"""The rows of the index, as values."""

import json
import sqlite3
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np

from sonora_app.knowledge.records import Document, Passage

DOCUMENT = """
SELECT d.id, d.user_id, d.title, d.source, d.hash, d.language, d.created_at,
       (SELECT count(*) FROM passages p WHERE p.document_id = d.id)
FROM documents d
"""

PASSAGE = """
SELECT p.id, p.document_id, d.title, d.source, p.headings, p.page, p.anchor, p.content, p.seq
FROM passages p JOIN documents d ON d.id = p.document_id
"""


def passage_of(row: sqlite3.Row | tuple[Any, ...]) -> Passage:
    """The passage in a row of `PASSAGE`."""
    return Passage(
        id=UUID(row[0]),
        document_id=UUID(row[1]),
        title=row[2],
        source=row[3],
        headings=tuple(json.loads(row[4])),
        page=row[5],
        anchor=row[6],
        content=row[7],
        seq=row[8],
    )


def packed(vector: "np.ndarray[Any, Any]") -> bytes:
    """A vector as it is kept: halves, which change a likeness by less than 0.001."""
    return vector.astype("<f2").tobytes()


def unpacked(blob: bytes) -> "np.ndarray[Any, Any]":
    """A vector that was kept."""
    return np.frombuffer(blob, dtype="<f2").astype(np.float32)


def document_of(row: tuple[Any, ...]) -> Document:
    """The document in a row of `DOCUMENT`."""
    return Document(
        id=UUID(row[0]),
        user_id=row[1],
        title=row[2],
        source=row[3],
        hash=row[4],
        language=row[5],
        created_at=datetime.fromisoformat(row[6]),
        passages=row[7],
    )
