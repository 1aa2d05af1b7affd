"""Tells the page what of a call is kept, and how storage is doing."""

from collections.abc import Sequence
from uuid import UUID

from sonora_app.page.protocol import MessageRecorded, MessageStored, StorageState
from sonora_app.page.rtvi import ScreenedRTVIProcessor
from sonora_app.storage.records import Message, Record, StorageHealth
from sonora_app.storage.store import Store


class StorageReports:
    """Reports of one call.

    Args:
        page: Who is told.
        store: Where the call is kept.
    """

    def __init__(self, page: ScreenedRTVIProcessor, store: Store) -> None:
        """Follow the store from here on."""
        self._page = page
        self._recorded: set[UUID] = set()
        self._state: StorageState | None = None
        self._is_open = False
        self._unsubscribe = store.subscribe(self._stored, self.changed)

    def opened(self) -> None:
        """The conversation is open: from here on the page is told how storage is doing."""
        self._is_open = True
        if self._state is not None:
            self._page.tell_soon(self._state)

    def written(self, record: Record) -> None:
        """Tell the page that a turn is in the journal."""
        if isinstance(record, Message):
            self._recorded.add(record.id)
            self._page.tell_soon(
                MessageRecorded(
                    id=record.id,
                    seq=record.seq or 0,
                    role=record.role,
                    modality=record.modality,
                    content=record.content,
                    interrupted=record.interrupted,
                )
            )

    def changed(self, health: StorageHealth, pending: int) -> None:
        """Tell the page how storage is doing, now or once its conversation is open."""
        self._state = StorageState(state=health, pending=pending)
        if self._is_open:
            self._page.tell_soon(self._state)

    def close(self) -> None:
        """Follow the store no more."""
        self._unsubscribe()

    def _stored(self, ids: Sequence[UUID]) -> None:
        for message_id in self._recorded.intersection(ids):
            self._recorded.discard(message_id)
            self._page.tell_soon(MessageStored(id=message_id))
