"""One call at a time holds a conversation: the one that began last. The others end."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

from loguru import logger

from sonora_app.call.beginning.opening import OpenedConversation
from sonora_app.errors import StorageError
from sonora_app.storage.store import Store

_LOOK_SECS = 0.5
"""How often to look whether another process took the conversation over, in seconds."""

WAY_SECS = 1.0
"""How long a call that is taken over may take to keep what was said in it, in seconds. The caller
waits for it in silence."""

_CLAIM_SECS = 1.5
"""How long claiming a conversation may take in all, in seconds."""


class OtherCalls(Protocol):
    """The other calls of this process."""

    def has_place_in(self, conversation_id: UUID, owner_id: str | None) -> bool:
        """Whether a call beyond the limit may go on with a conversation, which is `owner_id`'s:
        another talks in it, which will end for this one, or a place is free by now."""
        ...

    def opening(self, conversation_id: UUID) -> AbstractAsyncContextManager[object]:
        """Be the only call that is about to open a conversation: another one waits until the block
        ends, and then finds this call among those that make way."""
        ...

    async def make_way(
        self, conversation_id: UUID, owner_id: str | None, *, within_secs: float
    ) -> bool:
        """End those that talk in a conversation, and wait until what was said in them is kept.

        Args:
            conversation_id: The conversation.
            owner_id: Whose it is. A call in which it is somebody else's goes on.
            within_secs: How long to wait at most, in seconds.

        Returns:
            Whether there was one.
        """
        ...


async def make_way(opened: OpenedConversation, store: Store, others: OtherCalls | None) -> bool:
    """End the calls that talk in a conversation, and wait until what was said in them is kept.

    Calls on other machines are not waited for. They end when they see who holds it now.

    Args:
        opened: The conversation, as it is about to be opened.
        store: Where conversations are kept.
        others: The other calls of this process; None knows of none.

    Returns:
        Whether more may be kept of the conversation by now.
    """
    conversation_id, held = opened.conversation_id, opened.standing
    if others is not None and await others.make_way(
        conversation_id, opened.owner_id, within_secs=WAY_SECS
    ):
        return True
    if held is None or held.ended_at is not None:
        return False
    try:
        async with asyncio.timeout(_CLAIM_SECS):
            return await store.claim(conversation_id, opened.session_id, within_secs=WAY_SECS)
    except (StorageError, TimeoutError) as error:
        # What this call records claims it again.
        logger.warning(f"A conversation cannot be claimed yet: {str(error) or 'it takes too long'}")
        return False


class Holding:
    """Watches whether a call still holds its conversation.

    Args:
        opened: Gives the call's conversation, once it is open.
        store: Where conversations are kept.
        give_way: Ends the call, since another holds the conversation now.
    """

    def __init__(
        self,
        opened: Callable[[], OpenedConversation | None],
        store: Store,
        give_way: Callable[[], Awaitable[None]],
    ) -> None:
        """Set up; `run` watches."""
        self._opened = opened
        self._store = store
        self._give_way = give_way

    async def run(self) -> None:
        """Watch until the call was taken over, or until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECS)
            if await self._is_taken_over():
                break
        logger.info("Another call holds the conversation now: this one ends")
        await self._give_way()

    async def _is_taken_over(self) -> bool:
        opened = self._opened()
        if opened is None:
            return False
        try:
            holder = await self._store.holder(opened.conversation_id)
        except StorageError:
            return False
        return holder is not None and holder > opened.session_id
