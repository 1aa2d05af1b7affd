"""Conversations as a list shows them."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from sonora_app.storage.records import Conversation

_SHORT = 8
"""How many characters of an id are shown: the last, since ids of one minute begin alike."""


def short_id(conversation_id: UUID) -> str:
    """A conversation's id as lists and the log show it, and as every command takes it."""
    return str(conversation_id)[-_SHORT:]


@dataclass(frozen=True)
class Hit:
    """Where words that were looked for stand: in a message, or where None, in the title or summary.

    `words` is a piece of it in one line, around the first of them.
    """

    message_id: UUID | None
    words: str


@dataclass(frozen=True)
class Listing:
    """A conversation as a list shows it.

    Parameters:
        conversation: The conversation.
        messages: How many it has.
        calling: Whether it has a call without an end that may still go on.
        hit: Where the words stand that were looked for.
        labels: What it is labelled with, its calls and its turns too: each name once.
    """

    conversation: Conversation
    messages: int
    calling: bool = False
    hit: Hit | None = None
    labels: tuple[str, ...] = ()


class Listings(tuple[Listing, ...]):
    """Some conversations of a list, in its order.

    Attributes:
        total: How many the list has in all.
    """

    total: int

    def __new__(cls, listings: Iterable[Listing] = (), total: int = 0) -> "Listings":
        """Those of `listings`, of a list of `total`."""
        some = super().__new__(cls, listings)
        some.total = total
        return some
