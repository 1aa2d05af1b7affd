"""Documents and passages, as values."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

HEADING_JOIN = " › "


@dataclass(frozen=True)
class Document:
    """A document that was added.

    Parameters:
        id: Made here (UUIDv7).
        user_id: Whose it is; None is everybody's.
        title: What it calls itself.
        source: Where it came from: a file's path, or a link.
        hash: SHA-256 of the file, by which a change is known.
        language: Such as `es`, where it says so.
        created_at: When it was added as it is now.
        passages: How many passages it has.
    """

    id: UUID
    user_id: str | None
    title: str
    source: str
    hash: str
    language: str | None
    created_at: datetime
    passages: int = 0


@dataclass(frozen=True)
class Passage:
    """A passage of a document, and where it stands there.

    Parameters:
        id: Made here (UUIDv7).
        document_id: The document's.
        title: The document's title.
        source: The document's source.
        headings: What it stands under, outermost first.
        page: Its page, from 1, where there are pages.
        anchor: The name by which a link reaches it.
        content: Its sentences.
        seq: Its place in the document, from 0.
    """

    id: UUID
    document_id: UUID
    title: str
    source: str
    headings: tuple[str, ...]
    page: int | None
    anchor: str | None
    content: str
    seq: int

    @property
    def link(self) -> str | None:
        """A link to it, where the document came from one."""
        if not self.source.startswith(("http://", "https://")):
            return None
        if self.anchor:
            return f"{self.source.partition('#')[0]}#{self.anchor}"
        return f"{self.source}#page={self.page}" if self.page else self.source


@dataclass(frozen=True)
class Found:
    """A passage that a search came upon.

    Parameters:
        passage: The passage.
        score: How likely it is to be the right one, 0 to 1, as `ranking.py` reckons.
    """

    passage: Passage
    score: float


@dataclass(frozen=True)
class Findings:
    """What a search came upon.

    Parameters:
        question: What was looked for, cleaned.
        found: The likeliest first.
        fits: How likely it is that `found` holds an answer at all, 0 to 1.
        given: What a turn is given of them: none where nothing fits.
        took_ms: How long the search took, in milliseconds.
    """

    question: str
    found: tuple[Found, ...] = ()
    fits: float = 0.0
    given: tuple[Found, ...] = ()
    took_ms: float = 0.0


def heading_text(title: str, headings: tuple[str, ...]) -> str:
    """Where a passage stands, on one line."""
    return HEADING_JOIN.join((title, *headings))
