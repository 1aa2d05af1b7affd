"""Screens what the page sends, and answers it.

`ScreenedRTVIProcessor` takes the place of Pipecat's RTVI processor. It lets through only messages
that the conversation can take at that moment. Any other message (malformed, too large, unknown, out
of turn) gets an error-response and goes no further.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from pipecat.frames.frames import ErrorFrame, Frame, InputTransportMessageFrame
from pipecat.observers.base_observer import BaseObserver
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.processors.frameworks.rtvi import RTVIObserverParams, RTVIProcessor
from pipecat.processors.frameworks.rtvi import models as rtvi
from pipecat.processors.frameworks.rtvi.frames import RTVISendTextFrame
from pydantic import BaseModel

from sonora_app.errors import ErrorCode, MessageError, SonoraError
from sonora_app.page.envelopes import (
    PageRequest,
    client_message,
    message_id,
    parse_rtvi_message,
    typed_text,
)
from sonora_app.page.observers import Observers
from sonora_app.page.protocol import (
    Event,
    Notice,
    Outbound,
    Problem,
)
from sonora_app.runtime.listeners import Listeners
from sonora_app.wording.translation import in_language, worded

_TOGETHER_SECS = 0.05
"""Texts that come within this time are one turn. Less than a person notices of an answer."""
_ENTERED_SECS = 10.0
"""How long a turn may take to enter. Pipecat gives up waiting for the bot to stop after 5 s."""


class _ServerResponseData(BaseModel):
    t: str
    d: dict[str, Any]


class _ServerResponse(BaseModel):
    label: Literal["rtvi-ai"] = "rtvi-ai"
    type: Literal["server-response"] = "server-response"
    id: str
    data: _ServerResponseData


class _ErrorResponse(BaseModel):
    # Pipecat's own model has room for the sentence only; the page also needs the code.
    label: Literal["rtvi-ai"] = "rtvi-ai"
    type: Literal["error-response"] = "error-response"
    id: str
    data: dict[str, Any]


class _ServerMessage(BaseModel):
    label: Literal["rtvi-ai"] = "rtvi-ai"
    type: Literal["server-message"] = "server-message"
    data: dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """Something the user typed or showed, on its way into the conversation.

    Parameters:
        text: What the user typed; may be empty where they show something.
        audio_response: Whether the answer is to be spoken.
        told: What the model is told besides the text: of what is shown.
        files: The ids of what is shown.
        message_id: The id of the page's message.
    """

    text: str
    audio_response: bool = True
    told: str = ""
    files: tuple[UUID, ...] = ()
    message_id: str = ""


class ScreenedRTVIProcessor(RTVIProcessor):
    """Pipecat's RTVI processor, behind a gate.

    Args:
        observers: What else observes the pipeline.
        language: What the page is told in, `es` or `en`, until the call speaks another.

    Attributes:
        language: What it is told in now.
        requested: Told what the page asks for, in the order in which that came.
        entered: Told what the user typed or showed, when it comes and before the bot is cut off for
            it.
        disconnect_asked: Told when the page asks the bot to end the call at once.
        notices: How often the page was given each notice.
    """

    def __init__(self, observers: Sequence[BaseObserver] = (), language: str = "en") -> None:
        """Create the page's end of a call."""
        super().__init__()
        self.language = language
        self._others = tuple(observers)
        self.requested = Listeners[PageRequest]("a request of the page")
        self.entered = Listeners[Entry]("what the user typed or showed")
        self.disconnect_asked = Listeners[()]("being asked to disconnect")
        self.notices = Counter[ErrorCode]()
        self._typed: list[Entry] = []
        self._entering: asyncio.Task[None] | None = None
        self._has_entered = asyncio.Event()

    def create_rtvi_observer(
        self,
        *,
        params: RTVIObserverParams | None = None,
        **_: Any,  # noqa: ANN401  # Pipecat's signature
    ) -> Observers:
        """Make what tells the page of the call, with the other observers."""
        return Observers(self, *self._others, params=params)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Screen what comes from the page; pass everything else on as Pipecat does."""
        if isinstance(frame, ErrorFrame):
            await self._tell_error(frame)
            # Past Pipecat's RTVI processor, which tells the page what the vendor said.
            await FrameProcessor.process_frame(self, frame, direction)
            await self.push_frame(frame, direction)
            return
        if isinstance(frame, InputTransportMessageFrame) and not await self._let_through(
            frame.message
        ):
            return
        await super().process_frame(frame, direction)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame, noting when typed text has entered the pipeline."""
        await super().push_frame(frame, direction)
        if isinstance(frame, RTVISendTextFrame):
            self._has_entered.set()

    async def cleanup(self) -> None:
        """The call is over: what is still on its way enters no conversation."""
        if self._entering is not None:
            await self.cancel_task(self._entering)
        await super().cleanup()

    async def enter(self, entry: Entry) -> None:
        """Have what was typed or shown enter the conversation, cut the bot off, and be answered.

        Returns at once. Texts that come together, or before the bot has stopped for the last one,
        are one turn, with one answer.
        """
        await self.entered.tell(entry)
        self._typed.append(entry)
        if self._entering is None or self._entering.done():
            self._entering = self.create_task(self._enter_typed(), "typed")

    async def _enter_typed(self) -> None:
        # One at a time: Pipecat waits for the bot to stop before it takes the text.
        await asyncio.sleep(_TOGETHER_SECS)
        while self._typed:
            typed, self._typed = self._typed, []
            last = typed[-1]
            self._has_entered.clear()
            await self.handle_message(
                rtvi.Message(
                    type="send-text",
                    id=last.message_id,
                    data={
                        "content": "\n".join(
                            part for each in typed for part in (each.text, each.told) if part
                        ),
                        "options": {
                            "run_immediately": True,
                            "audio_response": last.audio_response,
                        },
                    },
                )
            )
            # What comes next is not held up by one that Pipecat could not take.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ENTERED_SECS):
                    await self._has_entered.wait()

    async def _tell_error(self, frame: ErrorFrame) -> None:
        # Pipecat sends the frame's text, which is the vendor's own and may hold anything. What an
        # error means to the user is told by notices (failures.py).
        if frame.fatal:
            said = in_language(worded("The call cannot go on."), self.language)
            data = rtvi.ErrorData(error=said, fatal=True)
            await self.push_transport_message(rtvi.Error(data=data))

    async def _let_through(self, raw: Any) -> bool:  # noqa: ANN401  # JSON from outside
        """Whether a message is one that Pipecat sees to. The others are seen to here."""
        try:
            message = parse_rtvi_message(raw)
            match message.type:
                case "client-ready":
                    return True
                case "disconnect-bot":
                    # Pipecat would end the call once all that is being said was heard.
                    await self.disconnect_asked.tell()
                    return False
                case "client-message":
                    request = client_message(message)
                case "send-text":
                    request = typed_text(message)
                case "send-file":
                    request = PageRequest(message.id, "send-file", message.data)
                case other:
                    # They reach into the pipeline (raw audio, function results, DTMF), and
                    # no page of ours sends them.
                    raise MessageError(
                        ErrorCode.UNSUPPORTED_MESSAGE,
                        worded("{message} is not supported here.", message=other),
                    )
        except SonoraError as error:
            await self.refuse(message_id(raw), error)
        else:
            await self.requested.tell(request)
        return False

    async def answer(self, message_id: str, message_type: str, data: Outbound) -> None:
        """Answer a client message."""
        await self.push_transport_message(
            _ServerResponse(
                id=message_id,
                data=_ServerResponseData(t=message_type, d=data.model_dump(mode="json")),
            )
        )

    async def refuse(self, message_id: str, error: SonoraError) -> None:
        """Answer a message with why it cannot be acted on."""
        said = error.said_in(self.language)
        problem = Problem(code=error.code, message=said, error=said)
        await self.push_transport_message(
            _ErrorResponse(id=message_id, data=problem.model_dump(mode="json"))
        )

    async def tell(self, event: Event) -> None:
        """Send the page an event."""
        if isinstance(event, Notice):
            self.notices[event.code] += 1
        await self.push_transport_message(
            _ServerMessage(data=event.model_dump(mode="json", exclude_none=True))
        )

    async def notify(self, code: ErrorCode, text: str) -> None:
        """Tell the page of something that answers no message.

        Args:
            code: Which of the page's errors it is.
            text: A sentence for the person, worded, or in the call's language already.
        """
        await self.tell(Notice(code=code, message=in_language(text, self.language)))

    def tell_soon(self, event: Event) -> None:
        """Send the page an event, from code that does not wait."""
        self.create_task(self.tell(event), "tell")
