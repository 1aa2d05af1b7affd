"""One call's state and the few things that can be done to it, for the flow's handlers.

`session.py` builds it; `flows/handlers.py` and the event sources (`limits.py`,
`actions/conversation_handler.py`) act on the call through it and nothing else.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from loguru import logger
from pipecat.frames.frames import (
    EndFrame,
    LLMMessagesAppendFrame,
    STTMuteFrame,
    TTSSpeakFrame,
)
from pipecat.pipeline.worker import PipelineWorker

from sonora_app import __version__
from sonora_app.call.late_history import load_late
from sonora_app.call.opening import OpenedConversation, open_conversation
from sonora_app.call.services import CallServices
from sonora_app.errors import SonoraError
from sonora_app.flow.driver import FlowDriver, Move
from sonora_app.flow.lines import Lines
from sonora_app.flow.quoted import quoted
from sonora_app.page.protocol import (
    ConversationEnded,
    MessageRecorded,
    MessageStored,
    NodeChanged,
    SetConversationId,
    StorageState,
)
from sonora_app.page.rtvi import ScreenedRTVIProcessor
from sonora_app.settings import Language, Settings
from sonora_app.storage.prefetch import Reading
from sonora_app.storage.recorder import Recorder
from sonora_app.storage.records import EndReason, Message, Record, StorageHealth, utc_now
from sonora_app.storage.store import Store


class Call:
    """One call, from connecting to farewell.

    Args:
        settings: The settings.
        store: Where conversations are kept.
        services: The vendors of this call, or their stand-ins.
        page: The page's end of it.
        transport: The name of the transport.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        services: CallServices,
        page: ScreenedRTVIProcessor,
        transport: str,
    ) -> None:
        """Create a call that is not connected to a pipeline yet."""
        self.settings = settings
        self.page = page
        self.services = services
        self.transport = transport
        self.driver = FlowDriver(self._moved)
        self.opened: OpenedConversation | None = None
        self.recorder: Recorder | None = None
        self.end_reason: EndReason | None = None
        self.user_muted = True
        self.failure: SonoraError | None = None
        self.summary: str | None = None
        self.reply_by_voice = True
        self.undescribed = False
        self.on_move: Callable[[str], None] = lambda node: None
        self.reading = Reading(store, settings)
        self._store = store
        self._worker: PipelineWorker | None = None
        self._late: asyncio.Task[None] | None = None
        self._hung_up = False
        self._recorded: set[UUID] = set()
        self._storage: StorageState | None = None

    def connect(self, worker: PipelineWorker) -> None:
        """Give the call the worker that runs its pipeline."""
        self._worker = worker

    @property
    def worker(self) -> PipelineWorker:
        """The worker that runs the call's pipeline."""
        if self._worker is None:
            raise RuntimeError("the call has no pipeline yet")
        return self._worker

    @property
    def lines(self) -> Lines:
        """What is said in fixed words, in the call's language."""
        return self.services.lines

    # --- For the flow's handlers

    async def request_opening(self, claim: SetConversationId, *, cause: str) -> None:
        """Ask the flow to open the conversation that `claim` names.

        Raises:
            SonoraError: It could not be opened, and the call waits on.
        """
        self.failure = None
        result = await self.driver.fire(
            "set_conversation_id",
            cause=cause,
            arguments={
                "conversation_id": str(claim.conversation_id or ""),
                "user_id": claim.user_id or "",
                "language": claim.language or "",
            },
        )
        if self.failure is not None:
            raise self.failure
        logger.info(
            f"Session {self.opened and self.opened.session_id} opened conversation "
            f"{self.opened and self.opened.conversation_id}: {result.get('status')}"
        )

    async def open(self, conversation_id: str, user_id: str, language: str) -> bool:
        """Open a conversation and start recording. On failure `failure` says why."""
        claim = SetConversationId(
            conversation_id=UUID(conversation_id) if conversation_id else None,
            user_id=user_id or None,
            language=Language(language) if language else None,
        )
        try:
            self.opened = opened = open_conversation(
                claim,
                await self.reading.found(claim.conversation_id, user_id),
                settings=self.settings,
                transport=self.transport,
                app_version=__version__,
                stand_ins=frozenset(self.services.stand_ins),
            )
        except SonoraError as error:
            self.failure = error
            return False
        self.summary = opened.summary
        if self._storage is not None:
            self.page.tell_soon(self._storage)
        self.recorder = self._store.recorder(
            opened, on_written=self._written, on_health=self.storage_changed
        )
        if opened.language != self.lines.language:
            await self.worker.queue_frames(self.services.speak_in(opened.language))
        if opened.history:
            await self.worker.queue_frame(
                LLMMessagesAppendFrame(messages=list[Any](opened.history), run_llm=False)
            )
        if not opened.complete:
            self._late = asyncio.create_task(load_late(self, claim), name="sonora-late-history")
        return True

    def prompt_facts(self) -> dict[str, str]:
        """What the prompts' placeholders stand for in this call."""
        facts = {
            "name": quoted(self.opened.facts.name) if self.opened else None,
            "summary": quoted(self.opened.summary) if self.opened else None,
        }
        return {
            "language": self.lines.text("prompt.language"),
            "user": self._optional("prompt.user", facts),
            "history": self._optional("prompt.history", facts),
            "wrap_up_reason": "",
        }

    async def speak(self, line: str) -> None:
        """Say a fixed line of the flow: `greeting` or `farewell`, as fits this call."""
        await self.say(self._fitting(line))

    async def say(self, text: str) -> None:
        """Say `text`, and remember what is heard of it as said."""
        await self.worker.queue_frame(TTSSpeakFrame(text=text, append_to_context=True))

    async def mute_user(self, muted: bool) -> None:
        """Stop or start listening to the user."""
        self.user_muted = muted
        await self.worker.queue_frame(STTMuteFrame(mute=muted))

    def describe(self, *, title: str, summary: str, topics: Sequence[str], outcome: str) -> None:
        """Keep what the conversation was about. What is empty stays as it was."""
        if not summary:
            return
        self.summary = summary
        self.undescribed = False
        if self.recorder is not None:
            self.recorder.describe(title=title, summary=summary, topics=topics, outcome=outcome)

    def wrap_up_reason(self) -> str:
        """What the model is told about why the conversation is being wound up."""
        return self._optional(f"prompt.wrap_up_reason.{self.driver.cause}", {})

    async def wind_up(self, cause: EndReason) -> bool:
        """Wind the conversation up because of an event, if it is at a point where it can be."""
        await self.driver.fire_if_possible("greeting_finished", cause=cause)
        return await self.driver.fire_if_possible(
            "wrap_up",
            cause=cause,
            arguments={"title": "", "summary": "", "topics": [], "outcome": ""},
        )

    async def hang_up(self) -> None:
        """Tell the page that the call is over, and end it once all before it was heard."""
        if self._hung_up:
            return
        await self.tell_end(EndReason.GOODBYE)
        await self.worker.queue_frame(EndFrame())

    async def tell_end(self, reason: EndReason) -> None:
        """Tell the page, once, that the call is over: for `reason`, where it has no other yet."""
        if self._hung_up:
            return
        self._hung_up = True
        self.end_reason = reason = self.end_reason or reason
        await self.page.tell(
            ConversationEnded(reason=reason, status=reason.status, summary=self.summary)
        )

    def stop_reading(self) -> None:
        """The call is over: what was said earlier is of no use any more."""
        self.reading.close()
        if self._late is not None:
            self._late.cancel()

    def user_spoke(self, node: str) -> None:
        """The user said something. An answer to the summing-up changes nothing about it."""
        self.undescribed = self.undescribed or node != "wrap_up"

    def typed(self, audio_response: bool) -> None:
        """The user is about to type; whether the answer to it is to be spoken."""
        self.reply_by_voice = audio_response

    # --- Reports

    async def _moved(self, move: Move) -> None:
        if move.to_node == "farewell":
            self.end_reason = EndReason.GOODBYE if move.cause == "model" else EndReason(move.cause)
        if move.function == "resume_conversation":
            self.undescribed = True
        self.on_move(move.to_node)
        if self.recorder is not None:
            kept = {name: value for name, value in move.arguments.items() if value}
            self.recorder.transition(
                move.from_node,
                move.to_node,
                trigger=move.function,
                arguments={"cause": move.cause, **kept},
            )
        await self.page.tell(
            NodeChanged(node=move.to_node, previous=move.from_node, trigger=move.function)
        )

    def _written(self, record: Record) -> None:
        if isinstance(record, Message):
            self._recorded.add(record.id)
            self.page.tell_soon(
                MessageRecorded(
                    id=record.id,
                    seq=record.seq or 0,
                    role=record.role,
                    interrupted=record.interrupted,
                )
            )

    def stored(self, ids: Sequence[UUID]) -> None:
        """Tell the page which of this call's turns have reached Supabase."""
        for message_id in self._recorded.intersection(ids):
            self._recorded.discard(message_id)
            self.page.tell_soon(MessageStored(id=message_id))

    def storage_changed(self, health: StorageHealth, pending: int) -> None:
        """Tell the page how storage is doing, now or once its conversation is open."""
        self._storage = StorageState(state=health, pending=pending)
        if self.opened is not None:
            self.page.tell_soon(self._storage)

    def _fitting(self, line: str) -> str:
        if line == "farewell":
            return self.lines.text(f"farewell.{self.end_reason or EndReason.GOODBYE}")
        facts = self.opened.facts if self.opened else None
        last = facts.last_talk_at if facts else None
        known = {
            "name": facts.name if facts else None,
            "topic": facts.topic if facts else None,
            "since": self.lines.since(last, utc_now()) if last else None,
        }
        returning = self.opened is not None and self.opened.returning
        return self.lines.text(f"{line}.{'returning' if returning else 'new'}", known)

    def _optional(self, key: str, facts: dict[str, str | None]) -> str:
        try:
            return self.lines.text(key, facts)
        except KeyError:
            return ""
