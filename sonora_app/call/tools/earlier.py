"""Tells the model what was done by tools in earlier calls of the conversation.

Somebody who comes back after a crash or a hang-up must not have a table booked twice. What came of
each tool is read from the store beside the call. What is still being done there is told once it
has ended.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from loguru import logger

from sonora_app.call.beginning.opening import OpenedConversation
from sonora_app.call.context_changes import appended
from sonora_app.call.tools.running import RunningTool
from sonora_app.call.tools.waiting import ToolWaiting, WaitingCall
from sonora_app.errors import StorageError
from sonora_app.flow.quoted import quoted
from sonora_app.storage.records import utc_now
from sonora_app.storage.store import Store
from sonora_app.storage.tool_calls import ToolCall, ToolStatus

_TOLD = 10
"""How many calls of tools the model is told of: the newest."""

_RESULT_CHARS = 400
_RUNS_FOR = timedelta(minutes=3)
"""How long ago a tool may have been called that is perhaps still being done."""

_LOOK_SECS, _LONGEST_LOOK_SECS = 1.0, 5.0
_UNSURE = (ToolStatus.STARTED, ToolStatus.UNKNOWN)


class EarlierTools:
    """The calls of tools of the calls before this one."""

    def __init__(self) -> None:
        """Know of none yet."""
        self._known: dict[UUID, ToolCall] = {}
        self._reading: asyncio.Task[None] | None = None

    def begin(
        self, call: WaitingCall, waiting: ToolWaiting, store: Store, opened: OpenedConversation
    ) -> None:
        """Read them, and have the model told. Returns at once.

        Args:
            call: The call.
            waiting: Tells the model what came of one that has not ended yet.
            store: Where they are kept.
            opened: The conversation.
        """
        reading = self._recall(call, waiting, store, opened)
        self._reading = asyncio.create_task(reading, name="sonora-tools-recall")

    def close(self) -> None:
        """The call is over."""
        if self._reading is not None:
            self._reading.cancel()

    def unsure(self, wanted: RunningTool) -> bool:
        """Whether nobody knows what came of the same, asked for in an earlier call."""
        same = (wanted.tool.name, wanted.kept_arguments)
        known = self._known.values()
        return any(each.status in _UNSURE and (each.name, each.arguments) == same for each in known)

    async def _recall(
        self, call: WaitingCall, waiting: ToolWaiting, store: Store, opened: OpenedConversation
    ) -> None:
        try:
            if calls := await self._read(store, opened):
                await _tell(call, calls)
            async for ended in self._ended(store, opened):
                await waiting.tell(call.lines.text("prompt.tool.late", _facts(ended)))
        except StorageError as error:
            logger.warning(f"What was done in earlier calls is not known: {error}")

    async def _read(self, store: Store, opened: OpenedConversation) -> Sequence[ToolCall]:
        read = await store.tool_calls(opened.conversation_id, limit=_TOLD)
        calls = [each for each in read if each.session_id != opened.session_id]
        self._known.update((each.id, each) for each in calls)
        return calls

    async def _ended(self, store: Store, opened: OpenedConversation) -> AsyncGenerator[ToolCall]:
        """Those that had not ended, as each of them ends."""
        wait_secs = _LOOK_SECS
        while running := [each for each in self._known.values() if _may_run(each)]:
            await asyncio.sleep(wait_secs)
            wait_secs = min(2 * wait_secs, _LONGEST_LOOK_SECS)
            await self._read(store, opened)
            for each in (self._known[before.id] for before in running):
                if each.status is not ToolStatus.STARTED:
                    yield each


async def _tell(call: WaitingCall, calls: Sequence[ToolCall]) -> None:
    """Tell the model of calls of tools, without having it answer."""
    now = utc_now()
    told = "\n".join(
        f"- {call.lines.since(each.started_at, now)}: {each.name} {_arguments(each)}: "
        f"{_outcome(each)}"
        for each in calls
    )
    text = call.lines.text("prompt.tool.earlier", {"results": told})
    message: Any = {"role": "developer", "content": text}
    await call.worker.queue_frame(appended(message))


def _facts(call: ToolCall) -> dict[str, str | None]:
    return {"name": call.name, "arguments": _arguments(call), "result": _outcome(call)}


def _arguments(call: ToolCall) -> str | None:
    return quoted(json.dumps(call.arguments, ensure_ascii=False), max_chars=_RESULT_CHARS)


def _may_run(call: ToolCall) -> bool:
    return call.status is ToolStatus.STARTED and utc_now() - call.started_at < _RUNS_FOR


def _outcome(call: ToolCall) -> str:
    """What came of it, in the words of `OutcomeStatus`."""
    status = "unknown" if call.status is ToolStatus.STARTED else call.status.value
    result = quoted(call.result, max_chars=_RESULT_CHARS)
    return f"{status} {result}" if result else status
