"""What the model was asked in a call, word for word, for whoever looks at it afterwards.

It is kept on a developer's machine alone, in the journal, and never shipped. Most of a request
stands in the one before as well, so that each text is kept once for a conversation, and each
request names its texts.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

_DIGEST_CHARS = 16
"""Of a digest in hexadecimal: 64 bits, where a conversation has some thousand texts at most."""


@dataclass(frozen=True)
class ModelRequest:
    """One request, as the model got it, without pictures.

    Parameters:
        id: UUIDv7.
        conversation_id: The conversation it was made in.
        session_id: The call.
        node: Where in the flow that was.
        model: The model's name.
        aside: Whether it was made beside the talk, as for a summary.
        asked_at: When.
        messages: Each of its messages as JSON, the system's first.
        tools: The functions that were offered, as JSON; empty: none.
    """

    id: UUID
    conversation_id: UUID
    session_id: UUID
    node: str
    model: str
    aside: bool
    asked_at: datetime
    messages: tuple[str, ...]
    tools: str


@dataclass(frozen=True)
class KeptRequest:
    """A request as it is kept: `messages` and `tools` name texts, which `Requests` has."""

    id: UUID
    session_id: UUID
    node: str
    model: str
    aside: bool
    asked_at: datetime
    messages: tuple[str, ...]
    tools: str


@dataclass(frozen=True)
class Requests:
    """The requests of a conversation that are kept, the first first, and their texts by name."""

    requests: Sequence[KeptRequest] = ()
    texts: Mapping[str, str] = field(default_factory=dict[str, str])


class RequestKeeping(Protocol):
    """Keeps requests. Every method may raise `StorageError`."""

    async def keep(self, request: ModelRequest, *, conversations: int) -> None:
        """Keep one, and forget those of all conversations but the latest so many."""
        ...

    async def of(self, conversation_id: UUID) -> Requests:
        """Those of a conversation that are kept."""
        ...


def name_of(text: str) -> str:
    """What a text is kept by."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARS]
