"""Reads a conversation's past before the call needs it, or later when the store is slow."""

import asyncio
from uuid import UUID

from loguru import logger

from sonora_app.errors import StorageError
from sonora_app.settings import Settings
from sonora_app.storage.store import NOTHING, Found, Recall, Store

_FRESH_SECS = 10.0
"""How long what was read ahead counts: others may write to the conversation meanwhile."""
_SPARE = 2
"""How many rows are read for each message that is wanted: those of tools, of the system, and images
without words are none, and the text-chat API writes them between the others."""
_FIRST_RETRY_SECS = 1.0
_LONGEST_RETRY_SECS = 30.0

_Key = tuple[UUID | None, str]


class Reading:
    """The reading that one call does.

    Args:
        store: Where conversations are kept.
        settings: The settings.
        recall: What to read of what is remembered of who asks.
    """

    def __init__(self, store: Store, settings: Settings, *, recall: Recall = NOTHING) -> None:
        """Read nothing yet."""
        self._store = store
        self._settings = settings
        self._recall = recall
        self._ahead: tuple[_Key, float, asyncio.Task[Found]] | None = None

    def begin(self, conversation_id: UUID | None, user_id: str) -> None:
        """Begin to read, so that `found` need not wait as long."""
        self.close()
        key = (conversation_id, user_id)
        task = asyncio.create_task(self._in_time(key), name="sonora-read-ahead")
        # Whoever asks for it is told of its failure; perhaps nobody does.
        task.add_done_callback(lambda task: task.cancelled() or task.exception())
        self._ahead = (key, asyncio.get_running_loop().time(), task)

    async def found(self, conversation_id: UUID | None, user_id: str) -> Found:
        """What there is, as far as it can be read within the deadline (SONORA_HISTORY_SECS).

        Raises:
            StorageError: Not even this machine's journal can be read.
        """
        key = (conversation_id, user_id)
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] == key:
            _, begun, task = ahead
            if asyncio.get_running_loop().time() - begun < _FRESH_SECS:
                return await task
        return await self._in_time(key)

    async def late(self, conversation_id: UUID | None, user_id: str) -> Found:
        """What there is, however long it takes to be read. Cancel it when it is of no use."""
        wait_secs = _FIRST_RETRY_SECS
        while True:
            try:
                return await self._store.look_up(
                    conversation_id,
                    user_id,
                    message_limit=_SPARE * self._settings.history_messages,
                    recall=self._recall,
                )
            except StorageError as error:
                logger.info(f"What was said earlier cannot be read yet: {error}")
            await asyncio.sleep(wait_secs)
            wait_secs = min(wait_secs * 2, _LONGEST_RETRY_SECS)

    async def by_now(self, found: Found, conversation_id: UUID, user_id: str) -> Found:
        """What there is by now of a conversation that was found, as far as this machine knows.

        Raises:
            StorageError: It cannot be read.
        """
        return await self._store.found_by_now(
            found, conversation_id, user_id, message_limit=_SPARE * self._settings.history_messages
        )

    def close(self) -> None:
        """Give up what was begun and not asked for."""
        if self._ahead is not None:
            self._ahead[2].cancel()
            self._ahead = None

    async def _in_time(self, key: _Key) -> Found:
        return await self._store.look_up(
            *key,
            message_limit=_SPARE * self._settings.history_messages,
            recall=self._recall,
            deadline_secs=self._settings.history_secs,
        )
