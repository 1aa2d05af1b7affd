"""What the owner of memories, or whoever looks after them, does outside of a call."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from sonora_app.errors import NotFoundError, SonoraError
from sonora_app.memories.permission import Permission
from sonora_app.memories.person import Person, Source
from sonora_app.settings import MemoryMode
from sonora_app.storage.records import Memory, Record
from sonora_app.storage.store import Known, Recall
from sonora_app.wording.translation import worded

ALL = 100_000
"""How many memories of a person are listed at most."""


class MemoryRefusedError(SonoraError):
    """A person does not want what was asked for."""


class MemoryStore(Protocol):
    """The parts of a store that memories are kept in."""

    async def known(self, user_id: str, recall: Recall) -> Known:
        """See `Store.known`."""
        ...

    async def write(self, records: Sequence[Record]) -> None:
        """See `Store.write`."""
        ...


async def add(
    store: MemoryStore, user_id: str, content: str, *, kind: str, until: datetime | None = None
) -> Memory | None:
    """Remember something of a person. Gives None where it is remembered already.

    Args:
        store: Where.
        user_id: Of whom.
        content: One sentence.
        kind: What it is done by: `command` or `console`.
        until: Until when it holds.

    Raises:
        MemoryRefusedError: They do not want to be remembered.
        StorageError: It cannot be read or written.
    """
    written: list[Record] = []
    known = await store.known(user_id, Recall(limit=ALL))
    if known.remembers is False:
        raise MemoryRefusedError(
            worded("They do not want to be remembered. Nothing was added."),
            hint=worded("Only they themselves should switch it on again."),
        )
    memory = _person(user_id, known, written).keep(content, Source(kind), until=until)
    await store.write(written)
    return memory


async def correct(
    store: MemoryStore, user_id: str, memory_id: UUID, content: str, *, kind: str
) -> Memory | None:
    """Put another sentence in the place of one that is wrong. Gives None where it is the same.

    Raises:
        NotFoundError: Nothing is remembered of this person under this id.
        StorageError: It cannot be read or written.
    """
    written: list[Record] = []
    known = await store.known(user_id, Recall(limit=1, past=True, id=memory_id))
    person = _person(user_id, known, written)
    memory = person.correct(_only(known), content, Source(kind))
    await store.write(written)
    return memory


async def forget(store: MemoryStore, user_id: str, memory_id: UUID) -> Memory:
    """Forget something for good; gives what it was.

    Raises:
        NotFoundError: Nothing is remembered of this person under this id.
        StorageError: It cannot be read or written.
    """
    written: list[Record] = []
    known = await store.known(user_id, Recall(limit=1, past=True, id=memory_id))
    memory = _only(known)
    _person(user_id, known, written).forget([memory])
    await store.write(written)
    return memory


async def choose(store: MemoryStore, user_id: str, remembers: bool) -> None:
    """Note whether a person wants to be remembered.

    Raises:
        StorageError: It cannot be written.
    """
    written: list[Record] = []
    _person(user_id, Known(), written).choose(remembers)
    await store.write(written)


def _person(user_id: str, known: Known, written: list[Record]) -> Person:
    # Whoever looks after the installation may; what the person's own switch says is for calls.
    permission = Permission(MemoryMode.ON, proven=True)
    return Person(user_id, permission, known, write=written.extend)


def _only(known: Known) -> Memory:
    if not known.memories:
        raise NotFoundError(
            worded("Nothing is remembered of this person under this id."),
            hint=worded("`uv run sonora memories list USER` shows what is."),
        )
    return known.memories[0]
