"""Turns what happens in a call into records, and sees them into the store in order.

Recording never waits: it puts a record in a queue and returns. One consumer writes what has
gathered, in order, off the voice path, and writes it again when the store is busy. What was
written is reported, so that the page can show it.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from loguru import logger

from sonora_app.conversation.opening import OpenedConversation
from sonora_app.conversation.records import (
    ConversationUpdate,
    EndReason,
    JsonObject,
    Message,
    Modality,
    Record,
    Role,
    SessionUpdate,
    Transition,
    utc_now,
    uuid7,
)
from sonora_app.conversation.store import Store
from sonora_app.errors import RecordRefusedError, StorageError

StorageHealth = Literal["ok", "delayed", "failing"]

_BATCH = 64
_FIRST_RETRY_SECS = 0.2
_LONGEST_RETRY_SECS = 10.0
_FAILING_AFTER = 3
"""Failed attempts in a row before storage counts as failing rather than delayed."""


class Recorder:
    """Records one call.

    Args:
        store: Where the records go.
        opened: The conversation of the call.
        on_written: Told each record once it is in the store.
        on_health: Told how storage is doing when it changes, with how many records wait.
    """

    def __init__(
        self,
        store: Store,
        opened: OpenedConversation,
        *,
        on_written: Callable[[Record], None] = lambda record: None,
        on_health: Callable[[StorageHealth, int], None] = lambda health, pending: None,
    ) -> None:
        """Start with what opening the conversation writes."""
        self._store = store
        self._opened = opened
        self._on_written = on_written
        self._on_health = on_health
        self._health: StorageHealth = "ok"
        self._waiting: asyncio.Queue[Record] = asyncio.Queue()
        self._in_hand: list[Record] = []
        self._message_seq = opened.last_message_seq
        self._transition_seq = opened.last_transition_seq
        # Order is by time, which a clock that steps back, or another machine's, must not break.
        self._message_at = self._transition_at = opened.last_message_at
        self._consumer = asyncio.create_task(self._consume(), name="sonora-recorder")
        for record in opened.records:
            self._waiting.put_nowait(record)

    @property
    def conversation_id(self) -> UUID:
        """The conversation that is recorded."""
        return self._opened.conversation_id

    @property
    def pending(self) -> int:
        """How many records are not yet in the store."""
        return self._waiting.qsize() + len(self._in_hand)

    def message(
        self,
        role: Role,
        content: str,
        *,
        node: str | None,
        modality: Modality = Modality.VOICE,
        interrupted: bool = False,
        started_at: datetime | None = None,
        metadata: JsonObject | None = None,
        metrics: JsonObject | None = None,
    ) -> Message:
        """Record one turn of one speaker.

        Args:
            role: Who spoke.
            content: What was heard of it.
            node: The node of the flow it was said in.
            modality: Whether it was spoken or typed.
            interrupted: Whether it was cut short.
            started_at: When the turn began; None is now. Moved forward where it would come
                before the message recorded before it, since order is by time.
            metadata: Anything else to keep with it.
            metrics: Its timings.
        """
        self._message_seq += 1
        message = Message(
            id=uuid7(),
            conversation_id=self._opened.conversation_id,
            session_id=self._opened.session_id,
            seq=self._message_seq,
            role=role,
            content=content,
            modality=modality,
            interrupted=interrupted,
            node=node,
            metadata=metadata or {},
            metrics=metrics or {},
            created_at=_after(self._message_at, started_at or utc_now()),
        )
        self._message_at = message.created_at
        self._waiting.put_nowait(message)
        return message

    def transition(
        self, from_node: str, to_node: str, *, trigger: str, arguments: JsonObject
    ) -> Transition:
        """Record one step of the flow."""
        self._transition_seq += 1
        transition = Transition(
            id=uuid7(),
            conversation_id=self._opened.conversation_id,
            session_id=self._opened.session_id,
            seq=self._transition_seq,
            from_node=from_node,
            to_node=to_node,
            trigger=trigger,
            arguments=arguments,
            created_at=_after(self._transition_at, utc_now()),
        )
        self._transition_at = transition.created_at
        self._waiting.put_nowait(transition)
        return transition

    def describe(
        self,
        *,
        title: str | None = None,
        summary: str | None = None,
        topics: Sequence[str] = (),
        outcome: str | None = None,
    ) -> None:
        """Record what the conversation is about. What is None or empty stays as it is."""
        metadata: JsonObject = {}
        if topics:
            metadata["topics"] = list(topics)
        if outcome:
            metadata["outcome"] = outcome
        self._update_conversation(
            title=title or None, summary=summary or None, metadata=metadata or None
        )

    def end(self, reason: EndReason, *, metrics: JsonObject) -> None:
        """Record the end of the call, and what it leaves the conversation as."""
        now = utc_now()
        self._waiting.put_nowait(
            SessionUpdate(
                id=self._opened.session_id, ended_at=now, end_reason=reason, metrics=metrics
            )
        )
        self._update_conversation(status=reason.status)

    async def aclose(self, *, timeout_secs: float) -> int:
        """Wait for the last records to be written, and stop.

        Args:
            timeout_secs: How long to wait for the store, in seconds.

        Returns:
            How many records could not be written in that time.
        """
        try:
            async with asyncio.timeout(timeout_secs):
                await self._waiting.join()
        except TimeoutError:
            logger.error(
                f"{self.pending} records of session {self._opened.session_id} could not be "
                f"written within {timeout_secs:g} s and are lost"
            )
        self._consumer.cancel()
        await asyncio.gather(self._consumer, return_exceptions=True)
        return self.pending

    def _update_conversation(self, **changes: object) -> None:
        self._waiting.put_nowait(
            ConversationUpdate.model_validate(
                {"id": self._opened.conversation_id, "updated_at": utc_now(), **changes}
            )
        )

    async def _consume(self) -> None:
        while True:
            self._in_hand = [await self._waiting.get()]
            while len(self._in_hand) < _BATCH and not self._waiting.empty():
                self._in_hand.append(self._waiting.get_nowait())
            try:
                written = await self._write(self._in_hand)
            except RecordRefusedError:
                # One of them holds up the others: find it.
                written = [each for record in self._in_hand for each in await self._try(record)]
            for _ in self._in_hand:
                self._waiting.task_done()
            self._in_hand = []
            for record in written:
                self._on_written(record)

    async def _try(self, record: Record) -> Sequence[Record]:
        try:
            return await self._write([record])
        except RecordRefusedError as error:
            logger.error(f"A record of {record.table} is refused for good and lost: {error}")
            return ()

    async def _write(self, records: Sequence[Record]) -> Sequence[Record]:
        """Write `records`, for as long as it takes; give them back."""
        failures = 0
        while True:
            try:
                await self._store.write(records)
            except RecordRefusedError:
                raise
            except StorageError as error:
                failures += 1
                logger.warning(f"{self.pending} records wait to be written: {error}")
                self._report("failing" if failures >= _FAILING_AFTER else "delayed")
                await asyncio.sleep(
                    min(_FIRST_RETRY_SECS * 2 ** (failures - 1), _LONGEST_RETRY_SECS)
                )
            else:
                self._report("ok")
                return records

    def _report(self, health: StorageHealth) -> None:
        if health != self._health:
            self._health = health
            self._on_health(health, self.pending)


def _after(earlier: datetime | None, moment: datetime) -> datetime:
    """`moment`, or the next one after `earlier` where that is later."""
    if earlier is None or moment > earlier:
        return moment
    return earlier + timedelta(microseconds=1)
