"""The pictures and documents of one call, from their coming until they are kept."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from loguru import logger

from sonora_app.errors import SonoraError
from sonora_app.files.attachment import Attachment, Keeper


class Attachments:
    """Hands what a person showed to what keeps it.

    Args:
        keeper: Keeps it; None keeps nothing.
    """

    def __init__(self, keeper: Keeper | None = None) -> None:
        """Hold nothing yet."""
        self._keeper = keeper
        self._held: dict[UUID, Attachment] = {}
        self._keeping: set[asyncio.Task[None]] = set()

    def hold(self, attachment: Attachment) -> None:
        """Hold an attachment until the message that it came with is recorded."""
        self._held[attachment.id] = attachment

    def recorded(
        self, ids: Sequence[UUID], conversation_id: UUID, user_id: str | None
    ) -> list[Any]:
        """The message that these came with is being recorded: have them kept.

        Returns:
            What stands for them in its `images`.
        """
        held = [attachment for id in ids if (attachment := self._held.pop(id, None)) is not None]
        if self._keeper is None:
            return []
        for attachment in held:
            task = asyncio.create_task(
                self._keep(self._keeper, attachment, conversation_id, user_id),
                name="sonora-keep-attachment",
            )
            self._keeping.add(task)
            task.add_done_callback(self._keeping.discard)
        return [self._keeper.entry(each, conversation_id, user_id) for each in held]

    async def settle(self, *, timeout_secs: float) -> None:
        """Wait until all is kept.

        Args:
            timeout_secs: How long at most, in seconds.
        """
        if self._keeping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_secs):
                    await asyncio.gather(*self._keeping)

    async def _keep(
        self, keeper: Keeper, attachment: Attachment, conversation_id: UUID, user_id: str | None
    ) -> None:
        try:
            await keeper.keep(attachment, conversation_id, user_id)
        except SonoraError as error:
            logger.warning(f"The {attachment.kind} {attachment.id} was not kept: {error.code}")
        except Exception as error:  # noqa: BLE001  # the call goes on whatever happens to a file
            logger.error(
                f"The {attachment.kind} {attachment.id} was not kept: {type(error).__name__}"
            )
