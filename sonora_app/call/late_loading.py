"""Waits for what was said earlier, where a call began without all of it."""

import asyncio
from typing import Protocol

from pipecat.pipeline.worker import PipelineWorker

from sonora_app.call.beginning.late_history import LateHistory
from sonora_app.call.beginning.opening import OpenedConversation, OpeningRequest
from sonora_app.call.context.memory_use import known_to
from sonora_app.call.context.remembering import Remembering
from sonora_app.page.rtvi import ScreenedRTVIProcessor
from sonora_app.settings import Settings
from sonora_app.storage.prefetch import Reading


class LateCall(Protocol):
    """The parts of a call that get what was said earlier. See `Call`."""

    settings: Settings
    page: ScreenedRTVIProcessor
    worker: PipelineWorker
    opened: OpenedConversation | None
    memory: Remembering

    def prompt_facts(self) -> dict[str, str]:
        """See `Call.prompt_facts`."""
        ...


class LateLoading:
    """Reads on after a call has begun. At most one conversation in each call.

    Args:
        call: The call.
        reading: What reads.
    """

    def __init__(self, call: LateCall, reading: Reading) -> None:
        """Read nothing yet."""
        self._call = call
        self._reading = reading
        self._task: asyncio.Task[None] | None = None

    def begin(self, opened: OpenedConversation, request: OpeningRequest) -> None:
        """Put what was said earlier before what is said in this call, once it comes."""
        self._task = asyncio.create_task(self._load(opened, request), name="sonora-late-history")

    def close(self) -> None:
        """The call is over: what was said earlier is of no use any more."""
        self._reading.close()
        if self._task is not None:
            self._task.cancel()

    async def _load(self, opened: OpenedConversation, request: OpeningRequest) -> None:
        call = self._call
        read = await self._reading.late(request.conversation_id, request.user_id)
        found = known_to(request, read)
        late = LateHistory.of(
            opened,
            found,
            max_messages=call.settings.history_messages,
            max_chars=call.settings.history_chars,
        )
        call.opened = late.opened
        call.memory.learn(found.known)
        if frame := late.frame(call.prompt_facts()["history"]):
            await call.worker.queue_frame(frame)
        for event in late.events(call.page.language):
            await call.page.tell(event)
