"""The page's end of the call: what it may send, and how it is answered.

`ScreenedRTVIProcessor` stands where Pipecat's RTVI processor stands, and lets through only what
the conversation can take at that moment. Whatever else arrives (malformed, too large, unknown,
out of turn) gets an error-response and goes no further.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from pipecat.frames.frames import ErrorFrame, Frame, InputTransportMessageFrame
from pipecat.observers.base_observer import BaseObserver
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.processors.frameworks.rtvi import RTVIObserverParams, RTVIProcessor
from pipecat.processors.frameworks.rtvi import models as rtvi
from pipecat.processors.frameworks.rtvi.frames import RTVISendTextFrame
from pydantic import BaseModel, Field

from sonora_app.errors import ErrorCode, MessageError, SonoraError
from sonora_app.page.observers import Observers
from sonora_app.page.protocol import MAX_MESSAGE_BYTES, Event, Outbound, Problem

_MAX_ID_CHARS = 200


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


class Gatekeeper(Protocol):
    """Who decides what the page may do now."""

    async def admit(self, message: RtviMessage) -> None:
        """Let `message` through to Pipecat by returning, or refuse it.

        Raises:
            MessageError: It cannot be taken now, or at all.
        """
        ...


class ScreenedRTVIProcessor(RTVIProcessor):
    """Pipecat's RTVI processor, behind a gatekeeper.

    Set `gatekeeper` before the pipeline starts.

    Args:
        on_typed: Told what the user typed, at the place in the order of things where it enters
            the conversation.

    Attributes:
        gatekeeper: Decides what is let through.
        observers: What else observes the pipeline, set before it is made.
    """

    def __init__(self, *, on_typed: Callable[[str], None]) -> None:
        """Create it without a gatekeeper; nothing is let through until there is one."""
        super().__init__()
        self.gatekeeper: Gatekeeper | None = None
        self.observers: tuple[BaseObserver, ...] = ()
        self._on_typed = on_typed

    def create_rtvi_observer(
        self,
        *,
        params: RTVIObserverParams | None = None,
        **_: Any,  # noqa: ANN401  # Pipecat's signature
    ) -> Observers:
        """Make what tells the page of the call, with the other observers."""
        return Observers(self, *self.observers, params=params)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Screen what comes from the page; pass everything else on as Pipecat does."""
        if isinstance(frame, ErrorFrame):
            await self._tell_error(frame)
            # Past Pipecat's RTVI processor, which tells the page what the vendor said.
            await FrameProcessor.process_frame(self, frame, direction)
            await self.push_frame(frame, direction)
            return
        if isinstance(frame, InputTransportMessageFrame) and not await self._admitted(
            frame.message
        ):
            return
        await super().process_frame(frame, direction)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame, noting typed text as it enters the pipeline."""
        if isinstance(frame, RTVISendTextFrame):
            self._on_typed(frame.text)
        await super().push_frame(frame, direction)

    async def _tell_error(self, frame: ErrorFrame) -> None:
        # Pipecat sends the frame's text, which is the vendor's own and may hold anything. What an
        # error means to the user is told by notices (failures.py).
        if frame.fatal:
            data = rtvi.ErrorData(error="The call cannot go on.", fatal=True)
            await self.push_transport_message(rtvi.Error(data=data))

    async def _admitted(self, raw: Any) -> bool:  # noqa: ANN401  # JSON from outside
        try:
            if self.gatekeeper is None:
                raise MessageError(ErrorCode.NOT_READY, "The bot is not ready yet.")
            await self.gatekeeper.admit(parse_rtvi_message(raw))
        except SonoraError as error:
            await self.refuse(_message_id(raw), error)
            return False
        return True

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


def _message_id(raw: Any) -> str:  # noqa: ANN401  # JSON from outside
    if isinstance(raw, Mapping):
        identifier: Any = raw.get("id")  # pyright: ignore[reportUnknownVariableType]
        if isinstance(identifier, str) and len(identifier) <= _MAX_ID_CHARS:
            return identifier
    return ""
