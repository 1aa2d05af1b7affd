"""One call's state and the few things that can be done to it, for the flow's handlers.

`building.py` builds it; `flows/handlers.py` and the event sources (`ending/time_limits.py`,
`actions/conversation_handler.py`) act on the call through it and nothing else.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from loguru import logger
from pipecat.frames.frames import EndFrame, LLMMessagesAppendFrame, STTMuteFrame, TTSSpeakFrame
from pipecat.pipeline.worker import PipelineWorker

from sonora_app.call.beginning.holding import OtherCalls
from sonora_app.call.beginning.opening import OpenedConversation, OpeningRequest
from sonora_app.call.beginning.returning import kept_state
from sonora_app.call.context import fitting_lines
from sonora_app.call.context.camera import Camera
from sonora_app.call.context.grounding import Grounding
from sonora_app.call.context.remembering import Remembering
from sonora_app.call.context.showing import Showing
from sonora_app.call.conversation_lookup import ConversationLookup
from sonora_app.call.end_reason import reason_of
from sonora_app.call.late_loading import LateLoading
from sonora_app.call.presence.muting import FlowMute
from sonora_app.call.presence.presence import Presence
from sonora_app.call.services import CallServices
from sonora_app.call.sound_keeping import SoundKeeping
from sonora_app.call.storage_reports import StorageReports
from sonora_app.call.tools.calls import ToolCalls
from sonora_app.errors import ErrorCode, SonoraError
from sonora_app.flow.driver import FlowDriver, Move
from sonora_app.flow.lines import Lines
from sonora_app.page.protocol import ConversationEnded, NodeChanged
from sonora_app.page.rtvi import ScreenedRTVIProcessor
from sonora_app.settings import Settings
from sonora_app.storage.recorder import Recorder
from sonora_app.storage.records import ConversationStatus, EndReason
from sonora_app.storage.store import Found, Store
from sonora_app.wording.translation import worded

STATE_KEY = "call"
"""Under which name the flow's handlers find the call in the flow's state."""


class Call:
    """One call, from connecting to farewell.

    Args:
        settings: The settings.
        store: Where conversations are kept.
        services: The vendors of this call, or their stand-ins.
        page: The page's end of it.
        transport: The name of the transport.
        mute: Keeps the user from being heard.
        worker: Runs the call's pipeline.
        presence: Tells whether anybody is there.
        driver: Moves the call through its flow.
        showing: Shows the model pictures, and has them kept.
        grounding: Has the model answer from documents; None where there are none.
        others: The other calls of this process; None knows of none.
        tools: What the model can have done.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        services: CallServices,
        page: ScreenedRTVIProcessor,
        transport: str,
        mute: FlowMute,
        worker: PipelineWorker,
        presence: Presence,
        driver: FlowDriver,
        showing: Showing,
        grounding: Grounding | None = None,
        others: OtherCalls | None = None,
        tools: ToolCalls,
    ) -> None:
        """Follow the flow from here on; `start` enters its first node."""
        self.settings, self.page, self.services = settings, page, services
        self.worker, self.presence, self.driver = worker, presence, driver
        self.showing, self.grounding, self.tools = showing, grounding, tools
        self.camera = Camera(page, showing)
        self.sound = SoundKeeping(self, store.files)
        self.opened: OpenedConversation | None = None
        self.recorder: Recorder | None = None
        self.end_reason: EndReason | None = None
        self.user_id: str | None = None
        self.summary: str | None = None
        self.reply_by_voice, self.undescribed = True, False
        self._lookup = ConversationLookup(settings, store, services, driver, transport, others)
        self.reading = self._lookup.reading
        self.memory = Remembering(self, store)
        self._late = LateLoading(self, self.reading)
        self._store = store
        self._mute = mute
        self._reports = StorageReports(page, store)
        self._hung_up, self._user_spoke, self._wound_up_by = False, False, str(EndReason.USER_IDLE)
        tools.follow(self)
        driver.moved.add(self._moved)
        mute.spoken_while_muted.add(self._spoke_too_early)
        page.disconnect_asked.add(self._asked_to_disconnect)

    async def start(self) -> None:
        """Enter the first node of the flow."""
        await self.driver.start({STATE_KEY: self, **self.prompt_facts()})

    @property
    def only_takes_over(self) -> bool:
        """Whether it may open no conversation but one that another call talks in, and will end."""
        return self._lookup.only_takes_over

    def only_take_over(self) -> None:
        """Open no conversation from here on but one that another call of the process talks in."""
        self._lookup.only_takes_over = True

    @property
    def lines(self) -> Lines:
        """What is said in fixed words, in the call's language."""
        return self.services.lines

    @property
    def user_muted(self) -> bool:
        """Whether the user is not listened to at the moment."""
        return self._mute.muted

    # --- Opening its conversation

    async def open(self, request: OpeningRequest, *, cause: str) -> OpenedConversation:
        """Open the conversation that is asked for, and have the flow go on with it.

        Args:
            request: Which conversation, and for whom.
            cause: What asked for it, kept with the step of the flow.

        Raises:
            SonoraError: It cannot be opened, or not now. The call waits on.
        """
        self.driver.check("set_conversation_id")
        arguments = {
            "conversation_id": str(request.conversation_id or ""),
            "user_id": request.user_id,
            "language": request.language or "",
        }
        try:
            async with self._lookup.alone(request):
                opened, found = await self._lookup.find(request)
                await self._begin(opened, request, found)
        except SonoraError:
            await self.driver.fire("set_conversation_id", cause=cause, arguments=arguments)
            raise
        await self.driver.fire("set_conversation_id", cause=cause, arguments=arguments)
        if opened.back is not None:
            await self.say(self.lines.text("still_here"))
        logger.info(f"Session {opened.session_id} opened conversation {opened.conversation_id}")
        return opened

    async def _begin(
        self, opened: OpenedConversation, request: OpeningRequest, found: Found
    ) -> None:
        """Record the call from here on, and have the services know what they should."""
        self.opened = opened
        self.user_id = request.user_id or None
        self.page.language = opened.language.value
        if self.grounding is not None:
            self.grounding.called_by(request.user_id or None)
        # A new conversation opens with the summary of the last one, which is not its own.
        self.summary = opened.summary if opened.resumed else None
        self.undescribed = opened.back is not None and opened.back.undescribed
        self._reports.opened()
        self.recorder = self._store.recorder(
            opened, on_written=self._reports.written, on_health=self._reports.changed
        )
        self.opened = self.memory.begin(opened, request, found.known)
        if opened.language != self.lines.language:
            await self.worker.queue_frames(self.services.speak_in(opened.language))
        known = (self.memory.prompt(), self.sound.prompt()) if opened.back else ()
        back = fitting_lines.told_on_return(self.lines, self.opened, known=known)
        if told := [*opened.history, *back]:
            await self.worker.queue_frame(
                LLMMessagesAppendFrame(messages=list[Any](told), run_llm=False)
            )
        if not opened.complete:
            self._late.begin(opened, request)
        self.tools.recall(self._store, opened)

    # --- For the flow's handlers

    def prompt_facts(self) -> dict[str, str]:
        """What the prompts' placeholders stand for in this call."""
        knows, acts, sees = self.grounding is not None, self.tools.any, self.showing.sees
        facts = fitting_lines.prompt_facts
        known = facts(self.lines, self.opened, knows=knows, acts=acts, sees=sees)
        return {**known, "memory": self.memory.prompt(), "recording": self.sound.prompt()}

    async def speak(self, line: str) -> None:
        """Say a fixed line of the flow: `greeting` or `farewell`, as fits this call."""
        if line == "farewell":
            await self.say(fitting_lines.farewell(self.lines, self.end_reason))
        else:
            await self.say(fitting_lines.greeting(self.lines, self.opened))

    async def say(self, text: str) -> None:
        """Say `text`, and remember what is heard of it as said."""
        await self.worker.queue_frame(TTSSpeakFrame(text=text, append_to_context=True))

    async def mute_user(self, muted: bool) -> None:
        """Stop or start listening to the user."""
        self._mute.muted = muted
        await self.worker.queue_frame(STTMuteFrame(mute=muted))

    def describe(self, *, title: str, summary: str, topics: Sequence[str], outcome: str) -> None:
        """Keep what the conversation was about. What is empty stays as it was."""
        if not summary:
            return
        self.summary = summary
        self.undescribed = False
        if self.recorder is not None:
            self.recorder.describe(title=title, summary=summary, topics=topics, outcome=outcome)

    def forget_summaries(self) -> str:
        """Know no more of what sums up this conversation or earlier ones: it may tell too much.

        Returns:
            What the model was told of earlier ones.
        """
        told = fitting_lines.prompt_facts(self.lines, self.opened)["history"]
        self.summary, self.undescribed = None, True
        if self.opened is not None:
            self.opened = replace(self.opened, summary=None)
        return told

    def wrap_up_reason(self) -> str:
        """What the model is told about why the conversation is being wound up."""
        return fitting_lines.wrap_up_reason(self.lines, self.driver.cause)

    async def wind_up(self, cause: EndReason) -> bool:
        """Wind the conversation up because of an event, if it is at a point where it can be."""
        await self.driver.fire_if_possible("greeting_finished", cause=cause)
        nothing: dict[str, Any] = {"title": "", "summary": "", "topics": [], "outcome": ""}
        return await self.driver.fire_if_possible("wrap_up", cause=cause, arguments=nothing)

    async def hang_up(self, reason: EndReason = EndReason.GOODBYE) -> None:
        """Tell the page that the call is over, and end it once all before it was heard."""
        if self._hung_up:
            return
        await self.tell_end(reason)
        await self.worker.queue_frame(EndFrame())

    async def tell_end(self, reason: EndReason) -> None:
        """Tell the page, once, that the call is over: for `reason`, where it has no other yet."""
        if self._hung_up:
            return
        self._hung_up = True
        self.end_reason = reason = self.end_reason or reason
        await self.page.tell(
            ConversationEnded(reason=reason, status=self.left_as(reason), summary=self.summary)
        )

    def left_as(self, reason: EndReason) -> ConversationStatus:
        """What the call leaves its conversation as, where it ends for `reason`."""
        silent = None if self._user_spoke else self.opened
        return silent.unchanged_by(reason) if silent else reason.status

    def stop_reading(self) -> None:
        """The call is over: what was said earlier is of no use any more."""
        self._late.close()
        self.memory.close()
        self.tools.stop()

    def stop_reporting(self) -> None:
        """The call is kept and the page is gone: nobody is told anything any more."""
        self._reports.close()
        self.memory.end()

    def user_spoke(self, node: str) -> None:
        """The user said something. An answer to the summing-up changes nothing about it."""
        self._user_spoke = True
        self.undescribed = self.undescribed or node != "wrap_up"

    def typed(self, audio_response: bool) -> None:
        """The user is about to type; whether the answer to it is to be spoken."""
        self.reply_by_voice = audio_response

    # --- What it follows

    async def _moved(self, move: Move) -> None:
        if move.to_node == "wrap_up":
            self._wound_up_by = move.cause
        if move.to_node == "farewell":
            self.end_reason = reason_of(move, self._wound_up_by)
        if move.function == "resume_conversation":
            self.undescribed = True
        if self.recorder is not None:
            kept = {name: value for name, value in move.arguments.items() if value}
            self.recorder.transition(
                move.from_node,
                move.to_node,
                trigger=move.function,
                arguments={"cause": move.cause, **kept},
                state=kept_state(self.driver.state),
                saying=fitting_lines.about_to_say(self.lines, self.opened, move.to_node),
            )
        await self.page.tell(
            NodeChanged(node=move.to_node, previous=move.from_node, trigger=move.function)
        )

    async def _spoke_too_early(self) -> None:
        if self.driver.node == "waiting":
            said = worded("The conversation is not open yet, so nobody is listening.")
            self.page.create_task(self.page.notify(ErrorCode.NOT_READY, said), "spoke_too_early")

    async def _asked_to_disconnect(self) -> None:
        await self.tell_end(EndReason.USER_REQUEST)
        await self.worker.cancel(reason="the page asked to disconnect")
