"""Watches the turns of a call and has them recorded in the order in which they were spoken.

Pipecat reports each turn by an event when the turn is over: the user's as it was transcribed, the
assistant's as it was heard. The event handlers run as tasks, which start in the order of the
events. Each handler does its work before its first await, so the order is kept.
"""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

from pipecat.processors.aggregators.llm_response_universal import (
    AssistantTurnStoppedMessage,
    LLMContextAggregatorPair,
    UserBackchannelMessage,
    UserTurnStoppedMessage,
)
from pipecat.turns.user_stop import BaseUserTurnStopStrategy

from sonora_app.call.call import Call
from sonora_app.call.context.grounding import sources_event
from sonora_app.call.ending.failures import Failures
from sonora_app.call.ending.time_limits import CallLimits
from sonora_app.call.going_on import GoingOn
from sonora_app.call.measuring.metrics import CallMetrics, WaitObserver
from sonora_app.call.measuring.turn_log import TurnLog
from sonora_app.page.protocol import Sources, TurnLatency
from sonora_app.page.rtvi import Entry
from sonora_app.settings import Vendor
from sonora_app.storage.records import JsonObject, Modality, Role
from sonora_app.storage.whole_turns import CONTINUES

_SPEAKING = (Vendor.LLM, Vendor.TTS)
_LONGEST_CUT_SECS = 0.5
"""How long what was typed waits to be recorded after the words that it cuts short."""


class TurnWatcher:
    """Records the turns of one call.

    Args:
        call: The call.
        limits: Told when the user does something.
        failures: Told when somebody was heard.
        aggregators: Tell of each turn.
        metrics: Counts the turns that were cut in two.
        waits: Tells how long each answer took.
        log: Gets a line for each turn.
        going_on: Knows which turns go on with the one before.
    """

    def __init__(
        self,
        call: Call,
        limits: CallLimits,
        failures: Failures,
        *,
        aggregators: LLMContextAggregatorPair,
        metrics: CallMetrics,
        waits: WaitObserver,
        log: TurnLog,
        going_on: GoingOn,
    ) -> None:
        """Follow the turns of the call from here on."""
        self._call = call
        self._limits = limits
        self._failures = failures
        self._log = log
        self._going_on = going_on
        self._metrics = metrics
        # The user's last turn by voice: of what is typed the model may be told later.
        self._spoken_id: UUID | None = None
        self._assistant_node = call.driver.node
        self._reply_modality = Modality.VOICE
        self._latency: JsonObject = {}
        self._answered_since = False  # since the user's last turn, an answer that was waited for
        self._sources: list[JsonObject] = []
        self._backchannels: list[JsonObject] = []
        self._assistant_speaks = False
        self._typed: list[Entry] = []
        self._typed_in_time: asyncio.TimerHandle | None = None
        call.page.entered.add(self._user_typed)
        waits.answered.add(self._answered)
        self._watch(aggregators)

    def _watch(self, aggregators: LLMContextAggregatorPair) -> None:
        user, assistant = aggregators.user(), aggregators.assistant()

        async def user_stopped(
            _: object, strategy: BaseUserTurnStopStrategy | None, turn: UserTurnStoppedMessage
        ) -> None:
            if turn.content:
                self._failures.user_heard()
                self._reply_modality = Modality.VOICE
                continues = self._going_on.continues(turn.timestamp)
                at = _moment(turn.timestamp)
                self._user_said(turn.content, Modality.VOICE, at, continues=continues)
            await self._limits.user_active()

        async def assistant_started(_: object) -> None:
            self._assistant_node = self._call.driver.node
            self._assistant_speaks = True
            if event := self._looked_up():
                await self._call.page.tell(event)

        async def assistant_stopped(_: object, turn: AssistantTurnStoppedMessage) -> None:
            self._assistant_speaks = False
            self._assistant_said(turn)
            self.record_typed()
            if turn.content and not turn.interrupted:
                self._failures.speech_heard()
            if turn.content.strip():
                self._call.showing.answered(whole=not turn.interrupted)
            if self._reply_modality is Modality.TEXT:
                if turn.content.strip():
                    self._limits.answered()
                await self._limits.count_silence()
            if self._assistant_node == "greeting":
                await self._call.driver.fire_if_possible(
                    "greeting_finished", cause="interrupted" if turn.interrupted else "spoken"
                )

        async def acknowledged(_: object, said: UserBackchannelMessage) -> None:
            self._backchannels.append({"text": said.content, "at": said.timestamp})

        async def idle(_: object) -> None:
            await self._limits.user_idle()

        user.add_event_handler("on_user_backchannel", acknowledged)
        user.add_event_handler("on_user_turn_stopped", user_stopped)
        user.add_event_handler("on_user_turn_idle", idle)
        assistant.add_event_handler("on_assistant_turn_started", assistant_started)
        assistant.add_event_handler("on_assistant_turn_stopped", assistant_stopped)

    async def _answered(self, latency: TurnLatency) -> None:
        """The answer that is being spoken now was this long in coming; it is kept with it."""
        self._latency = latency.model_dump(include={"total_ms", "parts_ms"})
        self._answered_since = True
        await self._call.page.tell(latency)

    async def _user_typed(self, entry: Entry) -> None:
        """The user typed or showed something. It comes after what the bot was saying, which it cuts
        short."""
        self._typed.append(entry)
        if not self._assistant_speaks:
            self.record_typed()
        elif self._typed_in_time is None:
            loop = asyncio.get_running_loop()
            self._typed_in_time = loop.call_later(_LONGEST_CUT_SECS, self.record_typed)

    def record_typed(self) -> None:
        """Record what was typed and waits for the end of the bot's turn. Called at the end, too."""
        if self._typed_in_time is not None:
            self._typed_in_time.cancel()
            self._typed_in_time = None
        typed, self._typed = self._typed, []
        for entry in typed:
            self._reply_modality = Modality.VOICE if self._call.reply_by_voice else Modality.TEXT
            self._user_said(entry.text, Modality.TEXT, None, self._images(entry))

    def _images(self, entry: Entry) -> list[Any]:
        """What stands for what was shown; it is being kept from now on."""
        call = self._call
        if call.recorder is None or not entry.files:
            return []
        conversation_id = call.recorder.conversation_id
        return call.showing.attachments.recorded(entry.files, conversation_id, call.user_id)

    def _user_said(
        self,
        text: str,
        modality: Modality,
        started_at: datetime | None,
        images: list[Any] | None = None,
        *,
        continues: bool = False,
    ) -> None:
        if self._call.recorder is None:
            return
        node = self._call.driver.node
        self._call.user_spoke(node)
        self._call.tools.user_said(typed=modality is Modality.TEXT)
        self._limits.user_said()
        heard_by = (Vendor.STT,) if modality is Modality.VOICE else ()
        metadata = self._call.services.played(heard_by)
        if continues and self._spoken_id is not None:
            metadata = metadata | {CONTINUES: str(self._spoken_id)}
            self._metrics.turn_cut(answered=self._answered_since)
        self._answered_since = False
        message_id = self._call.recorder.message(
            Role.USER,
            text,
            node=node,
            modality=modality,
            started_at=started_at,
            images=images,
            metadata=metadata,
        )
        if modality is Modality.VOICE:
            self._spoken_id = message_id
        self._log.user(self._call.recorder.conversation_id, node, len(text), modality)
        if text:
            self._call.memory.user_said(message_id, text)

    def _assistant_said(self, turn: AssistantTurnStoppedMessage) -> None:
        latency, self._latency = self._latency, {}
        sources, self._sources = self._sources, []
        if self._call.recorder is None or not turn.content.strip():
            return
        # What was said over it, which is no turn of its own, is kept with it.
        backchannels, self._backchannels = self._backchannels, []
        tools = self._call.tools.take_trace()
        self._call.tools.bot_said(turn.content)
        self._log.assistant(
            self._call.recorder.conversation_id,
            self._assistant_node,
            len(turn.content.strip()),
            interrupted=turn.interrupted,
            latency=latency,
            tools=tools,
        )
        played = self._call.services.played(_SPEAKING)
        self._call.recorder.message(
            Role.ASSISTANT,
            turn.content.strip(),
            node=self._assistant_node,
            modality=self._reply_modality,
            interrupted=turn.interrupted,
            started_at=_moment(turn.timestamp),
            metadata=played
            | ({"sources": sources} if sources else {})
            | ({"backchannels": backchannels} if backchannels else {}),
            metrics=({"latency": latency} if latency else {}) | ({"tools": tools} if tools else {}),
        )

    def _looked_up(self) -> Sources | None:
        """What was looked up for the answer that begins now; it is kept with the answer."""
        grounded = self._call.grounding.take() if self._call.grounding else None
        if grounded is None:
            return None
        event = sources_event(grounded)
        kept = {"passage_id", "document_id", "document", "heading", "page", "link"}
        self._sources = [each.model_dump(mode="json", include=kept) for each in event.sources]
        return event


def _moment(timestamp: str) -> datetime | None:
    try:
        return datetime.fromisoformat(timestamp)
    except ValueError:
        return None
