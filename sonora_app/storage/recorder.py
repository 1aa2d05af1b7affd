"""Notes what happens in a call, and has it written to the store in order.

Recording never waits. The recorder notes what happened and when, and returns. The rest is done on
the store's side loop, away from the audio: one consumer turns the notes into records, writes them
in order, and tries again after an error of the store. Each written record is reported, so that the
page can show it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from loguru import logger

from sonora_app.storage.record_maker import RecordMaker
from sonora_app.storage.record_writer import Draft, RecordWriter, WritableStore
from sonora_app.storage.records import (
    ConversationStatus,
    ConversationUpdate,
    EndReason,
    JsonObject,
    Modality,
    Record,
    RecordedCall,
    Role,
    SessionUpdate,
    StorageHealth,
    utc_now,
    uuid7,
)
from sonora_app.storage.tool_calls import ToolCall, ToolCallUpdate, ToolStatus, kept_of


class Recorder:
    """Records one call.

    Args:
        store: Where the records go.
        call: The call, its conversation opened.
        on_written: Told each record once it is in the store.
        on_health: Told how storage is doing when it changes, with how many records wait.
    """

    def __init__(
        self,
        store: WritableStore,
        call: RecordedCall,
        *,
        on_written: Callable[[Record], None] = lambda record: None,
        on_health: Callable[[StorageHealth, int], None] = lambda health, pending: None,
    ) -> None:
        """Start with what opening the conversation writes."""
        self._call = call
        self._on_written = on_written
        self._on_health = on_health
        self._pending = 0
        self._side = store.side
        self._unwritten = store.unwritten
        self._maker = RecordMaker(call)
        self._writer = RecordWriter(store, call, self._written, self._health_changed)
        self._side.start(self._writer.run())
        self.keep(call.records)

    @property
    def conversation_id(self) -> UUID:
        """The conversation that is recorded."""
        return self._call.conversation_id

    @property
    def pending(self) -> int:
        """How many records are not yet known to be in the store."""
        return self._pending

    def message(
        self,
        role: Role,
        content: str,
        *,
        node: str | None,
        modality: Modality = Modality.VOICE,
        interrupted: bool = False,
        started_at: datetime | None = None,
        images: Sequence[Any] | None = None,
        metadata: JsonObject | None = None,
        metrics: JsonObject | None = None,
    ) -> UUID:
        """Record one turn of one speaker, and give the id of its message.

        Args:
            role: Who spoke.
            content: What was heard of it.
            node: The node of the flow it was said in.
            modality: Whether it was spoken or typed.
            interrupted: Whether it was cut short.
            started_at: When the turn began; None is now. Moved forward where it would come
                before the message recorded before it, since order is by time.
            images: What stands for the pictures and documents that came with it.
            metadata: Anything else to keep with it. Not to be changed from here on.
            metrics: Its timings. Not to be changed from here on.
        """
        message_id = uuid7()
        self._note(
            partial(
                self._maker.message,
                started_at or utc_now(),
                id=message_id,
                role=role,
                content=content,
                node=node,
                modality=modality,
                interrupted=interrupted,
                images=list(images) if images else None,
                metadata=metadata or {},
                metrics=metrics or {},
            )
        )
        return message_id

    def keep(self, records: Sequence[Record]) -> None:
        """Record what is made already, in its turn."""
        if records:
            self._note(*((lambda record=record: record) for record in records))

    def transition(
        self,
        from_node: str,
        to_node: str,
        *,
        trigger: str,
        arguments: JsonObject,
        state: Mapping[str, str] | None = None,
        saying: str | None = None,
    ) -> None:
        """Record one step of the flow, and in one go where the talk is from here on.

        Args:
            from_node: Where it came from.
            to_node: Where it went.
            trigger: The function that was taken.
            arguments: What the function was given. Not to be changed from here on.
            state: What the prompts of the flow need to go on from there.
            saying: The fixed line that is about to be spoken there.
        """
        now, position = utc_now(), {"node": to_node, "state": dict(state or {})}
        self._note(
            partial(
                self._maker.transition,
                now,
                from_node=from_node,
                to_node=to_node,
                trigger=trigger,
                arguments=arguments,
            ),
            partial(self._maker.position, now, **position, saying=saying or None),
        )

    def stands(self, node: str, *, state: Mapping[str, str]) -> None:
        """Record what the flow's prompts need to go on from `node`, where the talk stays."""
        self._note(partial(self._maker.position, utc_now(), node=node, state=dict(state)))

    def tool_started(
        self,
        name: str,
        arguments: JsonObject,
        *,
        idempotency_key: str,
        message_id: UUID | None = None,
    ) -> UUID:
        """Record that a tool was called, and give the id of that call.

        Args:
            name: The tool.
            arguments: What it was given, without what must not be kept. Not to be changed from
                here on.
            idempotency_key: What its owner knows this call by, however often it comes.
            message_id: The turn that asked for it.
        """
        tool_call_id = uuid7()
        self._note(
            partial(
                ToolCall,
                id=tool_call_id,
                conversation_id=self._call.conversation_id,
                session_id=self._call.session_id,
                message_id=message_id,
                name=name,
                arguments=arguments,
                idempotency_key=idempotency_key,
                started_at=utc_now(),
            )
        )
        return tool_call_id

    def tool_ended(
        self,
        tool_call_id: UUID,
        status: ToolStatus,
        *,
        result: str | None = None,
        message_id: UUID | None = None,
    ) -> None:
        """Record how a call of a tool ended. The first end counts, but for `unknown`.

        Args:
            tool_call_id: What `tool_started` gave.
            status: How it ended.
            result: What it answered; its beginning is kept.
            message_id: The turn that it belongs to, where that is known only now.
        """
        self._note(
            partial(
                ToolCallUpdate,
                id=tool_call_id,
                conversation_id=self._call.conversation_id,
                message_id=message_id,
                status=status,
                result=kept_of(result),
                ended_at=utc_now(),
            )
        )

    def describe(
        self,
        *,
        title: str | None = None,
        summary: str | None = None,
        topics: Sequence[str] = (),
        outcome: str | None = None,
        language: str | None = None,
    ) -> None:
        """Record what the conversation is about. What is None or empty stays as it is."""
        metadata: JsonObject = {}
        if topics:
            metadata["topics"] = list(topics)
        if outcome:
            metadata["outcome"] = outcome
        said = {"title": title or None, "summary": summary or None, "language": language}
        self._update_conversation(**said, metadata=metadata or None)

    def end(
        self,
        reason: EndReason,
        *,
        metrics: JsonObject,
        at: datetime | None = None,
        leaves: ConversationStatus | None = None,
    ) -> None:
        """Record the end of the call (None is now), and what it leaves the conversation as (None is
        what its reason says)."""
        self._note(
            partial(
                SessionUpdate,
                id=self._call.session_id,
                ended_at=at or utc_now(),
                end_reason=reason,
                metrics=metrics,
            )
        )
        if reason is not EndReason.TAKEN_OVER:
            self._update_conversation(status=leaves or reason.status)

    async def drain(self, *, timeout_secs: float) -> None:
        """Wait until all that was recorded so far is written, for so many seconds at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_secs):
                await self._side.run(self._writer.drain())

    async def aclose(self, *, timeout_secs: float) -> int:
        """Wait for the last records to be written. Those that cannot be are not given up.

        They stay in memory, and are tried again for as long as the store is open.

        Args:
            timeout_secs: How long to wait for the store, in seconds.

        Returns:
            How many records could not be written in that time.
        """
        await self.drain(timeout_secs=timeout_secs)
        # What was told of them has still to arrive here.
        await asyncio.sleep(0)
        if left := self.pending:
            logger.error(
                f"{left} records of session {self._call.session_id} could not be written within "
                f"{timeout_secs:g} s: they wait in memory"
            )
            self._side.call(self._unwritten.log, self._writer)
        self._side.call(self._writer.end)
        # Nobody is there to be told any more, and the call itself need not stay in memory.
        self._on_written, self._on_health = _ignore, _ignore
        return left

    def _note(self, *drafts: Draft) -> None:
        self._pending += len(drafts)
        self._side.call(self._writer.take, *drafts)

    def _update_conversation(self, **changes: object) -> None:
        of = {"id": self._call.conversation_id, "session_id": self._call.session_id}
        fields = {**of, "updated_at": utc_now(), **changes}
        self._note(partial(ConversationUpdate.model_validate, fields))

    def _written(self, records: Sequence[Record], handled: int) -> None:
        self._pending -= handled
        for record in records:
            self._on_written(record)

    def _health_changed(self, health: StorageHealth) -> None:
        self._on_health(health, self._pending)


def _ignore(*_: object) -> None: ...
