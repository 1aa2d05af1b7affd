"""Screens what the page sends, and answers it.

`ScreenedRTVIProcessor` takes the place of Pipecat's RTVI processor. It lets through only messages
that the conversation can take at that moment. Any other message (malformed, too large, unknown, out
of turn) gets an error-response and goes no further.
"""

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from pipecat.frames.frames import ErrorFrame, Frame, InputTransportMessageFrame
from pipecat.observers.base_observer import BaseObserver
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.processors.frameworks.rtvi import RTVIObserverParams, RTVIProcessor
from pipecat.processors.frameworks.rtvi import models as rtvi
from pipecat.processors.frameworks.rtvi.frames import RTVISendTextFrame
from pydantic import BaseModel, Field, ValidationError

from sonora_app.errors import ErrorCode, MessageError, SonoraError
from sonora_app.page.observers import Observers
from sonora_app.page.protocol import (
    MAX_MESSAGE_BYTES,
    MAX_TEXT_CHARS,
    Event,
    Outbound,
    Problem,
    UserTextMessage,
)
from sonora_app.runtime.listeners import Listeners

_MAX_ID_CHARS = 200
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


class RtviMessage(BaseModel):
    """The envelope of every message from the page."""

    label: Literal["rtvi-ai"]
    type: str = Field(max_length=64)
    id: str = Field(max_length=_MAX_ID_CHARS)
    data: dict[str, Any] | None = None


@dataclass(frozen=True)
class PageRequest:
    """What the page asks the conversation to do.

    Parameters:
        message_id: What the answer refers to.
        type: The `t` of a client message, or `send-text`.
        data: Its `d`.
        typed: The text of a `send-text`; None for a client message.
    """

    message_id: str
    type: str
    data: Mapping[str, Any] | None = None
    typed: UserTextMessage | None = None


class ScreenedRTVIProcessor(RTVIProcessor):
    """Pipecat's RTVI processor, behind a gate.

    Args:
        observers: What else observes the pipeline.

    Attributes:
        requested: Told what the page asks for, in the order in which that came.
        text_entered: Told what the user typed, when it comes and before the bot is cut off for it.
        disconnect_asked: Told when the page asks the bot to end the call.
    """

    def __init__(self, *, observers: Sequence[BaseObserver] = ()) -> None:
        """Create the page's end of a call."""
        super().__init__()
        self._others = tuple(observers)
        self.requested = Listeners[PageRequest]("a request of the page")
        self.text_entered = Listeners[str]("typed text")
        self.disconnect_asked = Listeners[()]("being asked to disconnect")
        self._typed: list[tuple[UserTextMessage, str]] = []
        self._entering: asyncio.Task[None] | None = None
        self._entered = asyncio.Event()

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
            self._entered.set()

    async def enter_text(self, message: UserTextMessage, *, message_id: str = "") -> None:
        """Have what the user typed enter the conversation, cut the bot off, and be answered.

        Returns at once. Texts that come together, or before the bot has stopped for the last one,
        are one turn, with one answer.
        """
        await self.text_entered.tell(message.text)
        self._typed.append((message, message_id))
        if self._entering is None or self._entering.done():
            self._entering = self.create_task(self._enter_typed(), "typed")

    async def _enter_typed(self) -> None:
        # One at a time: Pipecat waits for the bot to stop before it takes the text.
        await asyncio.sleep(_TOGETHER_SECS)
        while self._typed:
            typed, self._typed = self._typed, []
            last, message_id = typed[-1]
            self._entered.clear()
            await self.handle_message(
                rtvi.Message(
                    type="send-text",
                    id=message_id,
                    data={
                        "content": "\n".join(message.text for message, _ in typed),
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
                    await self._entered.wait()

    async def _tell_error(self, frame: ErrorFrame) -> None:
        # Pipecat sends the frame's text, which is the vendor's own and may hold anything. What an
        # error means to the user is told by notices (failures.py).
        if frame.fatal:
            data = rtvi.ErrorData(error="The call cannot go on.", fatal=True)
            await self.push_transport_message(rtvi.Error(data=data))

    async def _let_through(self, raw: Any) -> bool:  # noqa: ANN401  # JSON from outside
        """Whether a message is one that Pipecat sees to. The others are seen to here."""
        try:
            message = parse_rtvi_message(raw)
            match message.type:
                case "client-ready":
                    return True
                case "disconnect-bot":
                    await self.disconnect_asked.tell()
                    return True
                case "client-message":
                    request = _client_message(message)
                case "send-text":
                    request = _typed_text(message)
                case other:
                    # They reach into the pipeline (raw audio, function results, files, DTMF), and
                    # no page of ours sends them.
                    raise MessageError(
                        ErrorCode.UNSUPPORTED_MESSAGE, f"{other} is not supported here."
                    )
        except SonoraError as error:
            await self.refuse(_message_id(raw), error)
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
        problem = Problem(code=error.code, message=str(error), error=str(error))
        await self.push_transport_message(
            _ErrorResponse(id=message_id, data=problem.model_dump(mode="json"))
        )

    async def tell(self, event: Event) -> None:
        """Send the page an event."""
        await self.push_transport_message(
            _ServerMessage(data=event.model_dump(mode="json", exclude_none=True))
        )

    def tell_soon(self, event: Event) -> None:
        """Send the page an event, from code that does not wait."""
        self.create_task(self.tell(event), "tell")


def parse_rtvi_message(raw: Any) -> RtviMessage:  # noqa: ANN401  # JSON from outside
    """Read a message's envelope.

    Raises:
        MessageError: It is too large, or is no RTVI message.
    """
    try:
        size = len(json.dumps(raw, ensure_ascii=False).encode())
    except (TypeError, ValueError, RecursionError):
        raise MessageError(ErrorCode.INVALID_MESSAGE, "The message is not JSON.") from None
    if size > MAX_MESSAGE_BYTES:
        raise MessageError(
            ErrorCode.MESSAGE_TOO_LARGE,
            f"The message has {size} bytes; at most {MAX_MESSAGE_BYTES} are taken.",
        )
    try:
        return RtviMessage.model_validate(raw, strict=True)
    except ValueError:
        raise MessageError(
            ErrorCode.INVALID_MESSAGE,
            "This is not an RTVI message.",
            hint="It needs label (rtvi-ai), type, id, and data as an object.",
        ) from None


def _client_message(message: RtviMessage) -> PageRequest:
    try:
        data = rtvi.RawClientMessageData.model_validate(message.data)
    except ValidationError:
        raise MessageError(
            ErrorCode.INVALID_MESSAGE, "A client-message needs data with t, and optionally d."
        ) from None
    if data.d is not None and not isinstance(data.d, Mapping):
        raise MessageError(ErrorCode.INVALID_MESSAGE, "The d of a client-message is an object.")
    return PageRequest(message.id, data.t, cast("Mapping[str, Any] | None", data.d))


def _typed_text(message: RtviMessage) -> PageRequest:
    try:
        text = rtvi.SendTextData.model_validate(message.data)
        typed = UserTextMessage(
            text=text.content,
            audio_response=text.options.audio_response if text.options else True,
        )
    except ValidationError:
        raise MessageError(
            ErrorCode.INVALID_MESSAGE,
            f"A send-text needs content of 1 to {MAX_TEXT_CHARS} characters.",
        ) from None
    return PageRequest(message.id, "send-text", typed=typed)


def _message_id(raw: Any) -> str:  # noqa: ANN401  # JSON from outside
    if isinstance(raw, Mapping):
        identifier: Any = raw.get("id")  # pyright: ignore[reportUnknownVariableType]
        if isinstance(identifier, str) and len(identifier) <= _MAX_ID_CHARS:
            return identifier
    return ""
